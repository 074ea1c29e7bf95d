import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { startTimeOf, thisMachine } from "../processes/processes.ts";

/** Which process runs an operation, so that another can tell whether it is still there. */
export interface RunnerIdentity {
  /** A UUID of this one life of the process. */
  readonly id: string;
  readonly host: string;
  /** Within which `pid` means something: one boot of a kernel, and a namespace of processes on it. */
  readonly machine: string;
  readonly pid: number;
  /** When the process began, as its kernel counts: another process may have its number later. */
  readonly begun: string;
}

export function thisRunner(): RunnerIdentity {
  return {
    ...{ id: randomUUID(), host: hostname(), machine: thisMachine(), pid: process.pid },
    begun: startTimeOf(process.pid) ?? "",
  };
}

/** Only where that can be known for sure: it ran on this machine, and its process is gone. */
export function isProvedDead({ machine, pid, begun }: RunnerIdentity): boolean {
  return machine !== "" && machine === thisMachine() && startTimeOf(pid) !== begun;
}
