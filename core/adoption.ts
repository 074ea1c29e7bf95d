import { z } from "zod";
import { type ErrorCode, type InfraError, problems } from "./errors.ts";
import type { Ownership } from "./ownership.ts";

const OWNERSHIPS = ["ours", "retained", "before", "unmarked", "others"] as const;

/** An object that exists under a project's name before the project does. */
export const adoptable = z.object({
  system: z.string().meta({ examples: ["postgres"] }),
  what: z.string().meta({ examples: ["database my_app"] }),
  /** What its mark says. */
  whose: z.enum(OWNERSHIPS) satisfies z.ZodType<Ownership>,
  /** What the `up` changes on it. Everything else stays. */
  changes: z.array(z.string()),
  /** Why it cannot be adopted as it is, each with what to do. */
  problems: z.array(z.string()),
});

export type Adoptable = z.output<typeof adoptable>;

/**
 * An adoption may mark these. `ours` is what an adoption that was interrupted has adopted already,
 * `retained` what it has marked. A mark of a version that named no platform is nobody's proof.
 */
const MAY_ADOPT: readonly Ownership[] = ["ours", "retained", "unmarked"];

const WHOSE: Readonly<Record<Ownership, string>> = {
  ours: "the mark of this stack",
  retained: "the mark of this project",
  before: "the mark of a project with this name on a platform that an earlier version did not name",
  unmarked: "no mark",
  others: "the mark of another platform, project or stack",
};

/** Says which mark an object carries. */
export function whoseText({ whose }: Pick<Adoptable, "whose">): string {
  return WHOSE[whose];
}

/** `postgres: role my_app (no mark): a new password`. */
export function adoptableText(object: Adoptable): string {
  const { system, what, changes } = object;
  const changed = changes.length > 0 ? `: ${changes.join("; ")}` : "";
  return `${system}: ${what} (${whoseText(object)})${changed}`;
}

/** A difference as `noun before → after`; none if both are equal. */
export function difference(noun: string, before: unknown, after: unknown): string[] {
  return before === after ? [] : [`${noun} ${JSON.stringify(before)} → ${JSON.stringify(after)}`];
}

/**
 * The error that names every reason why a project cannot be adopted; undefined if there is none.
 * RDEV_NOT_OURS if an object carries another owner's mark, else RDEV_ADOPT.
 */
export function adoptionRefusal(slug: string, found: readonly Adoptable[]): InfraError | undefined {
  const lines = found.flatMap(({ system, what, whose, problems: reasons }) => {
    const text = `The ${system} ${what}`;
    const foreign = MAY_ADOPT.includes(whose)
      ? []
      : [`${text} carries ${WHOSE[whose]}. It is left untouched.`];
    return [...foreign, ...reasons.map((reason) => `${text} ${reason}`)];
  });
  if (lines.length === 0) return undefined;
  const isForeign = found.some(({ whose }) => !MAY_ADOPT.includes(whose));
  const code: ErrorCode = isForeign ? "RDEV_NOT_OURS" : "RDEV_ADOPT";
  return problems(code, `"${slug}" cannot be adopted as it is, so nothing was marked:`, lines);
}
