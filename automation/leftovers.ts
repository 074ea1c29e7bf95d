import { isCitadelEnabled } from "../core/connections.ts";
import { userMessage } from "../core/errors.ts";
import { type SystemName, systemsWithProjects } from "../core/systems.ts";
import { within } from "./deadline.ts";
import { timed } from "./engine/timeline.ts";
import { leftovers as citadel } from "../providers/citadel/leftovers.ts";
import { leftovers as dns } from "../providers/dns/leftovers.ts";
import { leftovers as gitea } from "../providers/gitea/leftovers.ts";
import { leftovers as kubernetes } from "../providers/kubernetes/leftovers.ts";
import type { LeftoverProbe, ProbedProject } from "../providers/leftover-probe.ts";
import { leftovers as postgres } from "../providers/postgres/leftovers.ts";
import { leftovers as redis } from "../providers/redis/leftovers.ts";
import { leftovers as registry } from "../providers/registry/leftovers.ts";
import { leftovers as woodpecker } from "../providers/woodpecker/leftovers.ts";
import type { Remaining } from "../core/operation.ts";

/** The probe of each system. A system without one is reported as unreachable, never as empty. */
export const LEFTOVER_PROBES: Readonly<Partial<Record<SystemName, LeftoverProbe>>> = {
  gitea,
  woodpecker,
  dns,
  registry,
  postgres,
  redis,
  kubernetes,
  citadel,
};

interface LeftoverOptions {
  /** For each system, in ms. Default: DEADLINE. */
  readonly deadline?: number;
}

/** For each system, in ms. Leaves room for the retries of a read. */
export const DEADLINE = 20_000;

/**
 * Asks all servers at once what a project still has there; the stack's state is not used. A system
 * that does not answer is reported as `unreachable` with the reason, never as empty. Never throws.
 */
export async function findLeftovers(
  project: ProbedProject,
  { deadline = DEADLINE }: LeftoverOptions = {},
): Promise<Remaining[]> {
  const found = await Promise.all(
    probedSystems().map((system) => probe(system, project, deadline)),
  );
  return found.flat();
}

/** The systems that `findLeftovers` asks. Without Citadel nothing was made in it. */
export function probedSystems(): SystemName[] {
  return systemsWithProjects().filter((system) => system !== "citadel" || isCitadelEnabled());
}

async function probe(
  system: SystemName,
  project: ProbedProject,
  deadline: number,
): Promise<Remaining[]> {
  const leftoverProbe = LEFTOVER_PROBES[system];
  if (!leftoverProbe) {
    return [{ system, what: "everything (it has no leftover probe)", why: "unreachable" }];
  }
  try {
    const found = await timed("proof", system, () =>
      within(deadline, (closing) => leftoverProbe.find(project, closing)),
    );
    return found.map(({ what, why }) => ({ system, what, why }));
  } catch (error) {
    const reason = userMessage(error).replace(/\s*\n\s*/g, " ");
    return [{ system, what: `${leftoverProbe.describe(project)} (${reason})`, why: "unreachable" }];
  }
}
