import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { startTimeOf, thisMachine } from "../processes/processes.ts";

/** The process that runs an operation, so that other runners can check whether it is alive. */
export interface RunnerIdentity {
  /** A UUID, new for each start of the process. */
  readonly id: string;
  readonly host: string;
  /** The scope of `pid`: a boot of a kernel, and a PID namespace on it. */
  readonly machine: string;
  readonly pid: number;
  /** The kernel's start time of the process, because process ids are reused. */
  readonly begun: string;
}

export function thisRunner(): RunnerIdentity {
  return {
    id: randomUUID(),
    host: hostname(),
    machine: thisMachine(),
    pid: process.pid,
    begun: startTimeOf(process.pid) ?? "",
  };
}

/** True only if the runner was on this machine and its process is gone. */
export function isProvedDead({ machine, pid, begun }: RunnerIdentity): boolean {
  return machine !== "" && machine === thisMachine() && startTimeOf(pid) !== begun;
}
