import { z } from "zod";

/**
 * The first part of the mark on everything that rdev-infra makes. It adopts and deletes only marked
 * objects. Each system stores the mark in its own way: labels, a comment, metadata.
 */
export const MANAGED_BY = "rdev-infra";

/** An object's owner. An object is adopted or deleted only if all three fields match. */
export const ownerSchema = z.object({
  platform: z.string().min(1),
  /** The slug; for objects of a platform's stack, the platform's name. */
  project: z.string().min(1),
  /** Created with the stack and kept in its state: 16 hexadecimal digits. */
  stack: z.string().regex(/^[0-9a-f]{16}$/, "is not 16 hexadecimal digits"),
});

export type Owner = z.output<typeof ownerSchema>;

/** The owner in a state of an older version, whose marks name only the project. */
export function ownerBefore(project: string): Owner {
  return { platform: "", project, stack: "" };
}

/** Belongs to no object. A state with it differs from the program, so the next `up` marks again. */
export const NO_OWNER = ownerBefore("");

/**
 * The relation of an object to an owner:
 * - `ours`: the mark names this owner.
 * - `retained`: a later stack of this project may adopt it, because a delete kept it or a person
 *   marked it (`rdev-infra adopt`).
 * - `before`: an older version marked it for a project with this name, on any platform.
 * - `unmarked`: it has no mark.
 * - `others`: the mark names another owner.
 */
export type Ownership = "ours" | "retained" | "before" | "unmarked" | "others";

/** A mark as keys and values, for systems with labels or metadata. */
export type Mark = Readonly<Record<string, string>>;

const RETAINED = "retained";

export function markOf({ platform, project, stack }: Owner): Mark {
  return { "managed-by": MANAGED_BY, platform, project, stack };
}

/**
 * Any later stack of the project. Its mark is on an object that is kept when its stack is deleted, and
 * on one that a person lets the project adopt.
 */
export function retainedOwner(owner: Owner): Owner {
  return { ...owner, stack: RETAINED };
}

/** The mark of `retainedOwner`. */
export function retainedMarkOf(owner: Owner): Mark {
  return markOf(retainedOwner(owner));
}

export function ownershipOf(mark: Mark | undefined, owner: Owner): Ownership {
  // A mark without a project names no owner.
  if (mark?.["managed-by"] !== MANAGED_BY || mark["project"] === undefined) return "unmarked";
  if (mark["project"] !== owner.project) return "others";
  const { platform = "", stack = "" } = mark;
  if (platform === owner.platform && stack === owner.stack) return "ours";
  if (platform === "" && stack === "") return "before";
  return platform === owner.platform && stack === RETAINED ? "retained" : "others";
}

/** The mark as one line, for systems with only a comment or a description. */
export function markText(owner: Owner): string {
  if (owner.stack === "") return `managed-by: ${MANAGED_BY}, project: ${owner.project}`;
  return textOf(owner);
}

/** The mark of `retainedMarkOf` as one line. */
export function retainedMarkText(owner: Owner): string {
  return textOf(retainedOwner(owner));
}

/** The line is short because Cloudflare's free plan limits a record's comment to 100 characters. */
function textOf({ platform, project, stack }: Owner): string {
  return `managed by ${MANAGED_BY}: ${platform}/${project}, ${stack}`;
}

const MARK_TEXT = new RegExp(
  String.raw`managed by ${MANAGED_BY}: ([a-z0-9-]+)/([a-z0-9-]+), ([0-9a-f]{16}|${RETAINED})`,
);
const MARK_TEXT_BEFORE = new RegExp(String.raw`managed-by: ${MANAGED_BY}, project: ([a-z0-9-]+)`);

/** The first mark in a text; undefined if there is none. */
export function markIn(text: string | null | undefined): Mark | undefined {
  const [, platform, project, stack] = MARK_TEXT.exec(text ?? "") ?? [];
  if (platform && project && stack) return markOf({ platform, project, stack });
  const [, before] = MARK_TEXT_BEFORE.exec(text ?? "") ?? [];
  return before === undefined ? undefined : { "managed-by": MANAGED_BY, project: before };
}
