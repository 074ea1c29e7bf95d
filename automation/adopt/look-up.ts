import { type Adoptable, adoptionRefusal } from "../../core/adoption.ts";
import { connectionSecrets } from "../../core/connections.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import type { SystemName } from "../../core/systems.ts";
import type { AdoptedProject, Adoption, FoundObject } from "../../providers/adoption.ts";
import { adoption as citadel } from "../../providers/citadel/adoption.ts";
import { adoption as dns } from "../../providers/dns/adoption.ts";
import { adoption as gitea } from "../../providers/gitea/adoption.ts";
import { adoption as kubernetes } from "../../providers/kubernetes/adoption.ts";
import { adoption as postgres } from "../../providers/postgres/adoption.ts";
import { adoption as redis } from "../../providers/redis/adoption.ts";
import { adoption as registry } from "../../providers/registry/adoption.ts";
import { adoption as woodpecker } from "../../providers/woodpecker/adoption.ts";
import { within } from "../deadline.ts";
import { DEADLINE, LEFTOVER_PROBES, probedSystems } from "../leftovers.ts";

/** The adoption of each system. */
export const ADOPTIONS: Readonly<Partial<Record<SystemName, Adoption>>> = {
  gitea,
  woodpecker,
  dns,
  registry,
  postgres,
  redis,
  kubernetes,
  citadel,
};

/** What exists under a project's name, on every system. */
export interface LookUp {
  readonly found: readonly Adoptable[];
  /** What the systems without an object would have: the `up` creates it. */
  readonly missing: readonly { readonly system: string; readonly what: string }[];
  /** Names every reason why the project cannot be adopted; undefined if there is none. */
  readonly refusal: InfraError | undefined;
}

/**
 * Asks all systems at once, and changes nothing. A system that does not answer is a reason not to adopt.
 * Never throws.
 */
export async function lookUp(project: AdoptedProject): Promise<LookUp> {
  const answers = await Promise.all(
    adoptions().map(async ({ system, adoption }) => {
      const what = LEFTOVER_PROBES[system]?.describe(project) ?? "everything";
      const find = (closing: AbortSignal) => adoption.find(project, closing);
      const objects = await within(DEADLINE, find).catch((error: unknown): FoundObject[] => {
        const reason = redact(userMessage(error), connectionSecrets()).replace(/\s*\n\s*/g, " ");
        const unknown = [`cannot be looked up (${reason})`];
        return [{ what, whose: "unmarked", changes: [], problems: unknown }];
      });
      return { system, what, objects };
    }),
  );
  const found = answers.flatMap(({ system, objects }) =>
    objects.map((each) => ({ system, ...each })),
  );
  return {
    found,
    missing: answers.filter(({ objects }) => objects.length === 0),
    refusal: adoptionRefusal(project.slug, found),
  };
}

/** The systems in use. Without Citadel nothing is made in it. */
export function adoptions(): { readonly system: SystemName; readonly adoption: Adoption }[] {
  return probedSystems().map((system) => {
    const adoption = ADOPTIONS[system];
    if (!adoption) throw new InfraError("RDEV_INTERNAL", `${system} has no adoption.`);
    return { system, adoption };
  });
}
