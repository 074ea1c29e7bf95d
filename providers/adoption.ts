import type { Adoptable } from "../core/adoption.ts";
import type { PlatformSettings } from "../core/settings.ts";
import type { Sizes } from "../core/sizes.ts";
import type { ProbedProject } from "./leftover-probe.ts";

/** The project that an adoption makes of what exists. */
export interface AdoptedProject extends Pick<ProbedProject, "slug" | "owner"> {
  readonly settings: PlatformSettings;
  /** For people. */
  readonly name: string;
  readonly sizes: Sizes;
}

/** An object as a system describes it. */
export type FoundObject = Omit<Adoptable, "system">;

/** Adopts what one system has under a project's name. `closing` is aborted once nobody waits. */
export interface Adoption {
  /** Finds what exists, whatever its mark. Changes nothing. Throws if the system could hide an object. */
  find(project: AdoptedProject, closing: AbortSignal): Promise<readonly FoundObject[]>;
  /**
   * Writes the mark of a retained object on what has no mark, so that the next `up` adopts it. Changes
   * nothing else. Idempotent, so that an interrupted adoption can be run again.
   */
  mark(project: AdoptedProject, closing: AbortSignal): Promise<void>;
  /** Changes what the `up` could not adopt, once everything is marked. Idempotent. */
  prepare?(project: AdoptedProject, closing: AbortSignal): Promise<void>;
  /** Removes what only bridged the time until the `up` had succeeded. Idempotent. */
  finish?(project: AdoptedProject, closing: AbortSignal): Promise<void>;
}
