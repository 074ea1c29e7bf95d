import { z } from "zod";

/**
 * The mark on everything that rdev-infra makes. Adopt and delete touch only what carries it. Each
 * system keeps it where it can: labels, a comment, metadata.
 */
export const MANAGED_BY = "rdev-infra";

/** An object's owner. All three must agree before it is adopted or deleted. */
export const ownerSchema = z.object({
  platform: z.string().min(1),
  /** The slug, or the platform's name for what the platform's stack makes. */
  project: z.string().min(1),
  /** Born with the stack and kept in its state: 16 hexadecimal digits. */
  stack: z.string().regex(/^[0-9a-f]{16}$/, "is not 16 hexadecimal digits"),
});

export type Owner = z.output<typeof ownerSchema>;

/** The owner in a state of the versions before, whose marks name the project only. */
export function ownerBefore(project: string): Owner {
  return { platform: "", project, stack: "" };
}

/** No object has it. A state that holds it differs from its program, so the next `up` marks anew. */
export const NO_OWNER = ownerBefore("");

/**
 * How an object relates to an owner:
 * - `ours`: its mark names this very owner;
 * - `retained`: a delete of this project kept it on purpose, and a later stack may take it up;
 * - `before`: a version before marked it for a project of this name, on whichever platform;
 * - `unmarked`: it carries no mark;
 * - `others`: its mark names another owner.
 */
export type Ownership = "ours" | "retained" | "before" | "unmarked" | "others";

/** A mark as key and value, for systems with labels or metadata. */
export type Mark = Readonly<Record<string, string>>;

const RETAINED = "retained";

export function markOf({ platform, project, stack }: Owner): Mark {
  return { "managed-by": MANAGED_BY, platform, project, stack };
}

/** The mark of an object that outlives its stack on purpose. */
export function retainedMarkOf(owner: Owner): Mark {
  return markOf({ ...owner, stack: RETAINED });
}

export function ownershipOf(mark: Mark | undefined, owner: Owner): Ownership {
  // Without a project it names nobody.
  if (mark?.["managed-by"] !== MANAGED_BY || mark["project"] === undefined) return "unmarked";
  if (mark["project"] !== owner.project) return "others";
  const { platform = "", stack = "" } = mark;
  if (platform === owner.platform && stack === owner.stack) return "ours";
  if (platform === "" && stack === "") return "before";
  return platform === owner.platform && stack === RETAINED ? "retained" : "others";
}

/** The mark as one line, for systems with a comment or description only. */
export function markText(owner: Owner): string {
  if (owner.stack === "") return `managed-by: ${MANAGED_BY}, project: ${owner.project}`;
  return textOf(owner);
}

/** As `retainedMarkOf`, as one line. */
export function retainedMarkText(owner: Owner): string {
  return textOf({ ...owner, stack: RETAINED });
}

/** Cloudflare takes 100 characters for a record's comment in its free plan, so the line is short. */
function textOf({ platform, project, stack }: Owner): string {
  return `managed by ${MANAGED_BY}: ${platform}/${project}, ${stack}`;
}

const MARK_TEXT = new RegExp(
  String.raw`managed by ${MANAGED_BY}: ([a-z0-9-]+)/([a-z0-9-]+), ([0-9a-f]{16}|${RETAINED})`,
);
const MARK_TEXT_BEFORE = new RegExp(String.raw`managed-by: ${MANAGED_BY}, project: ([a-z0-9-]+)`);

/** The first mark in a text; undefined where it holds none. */
export function markIn(text: string | null | undefined): Mark | undefined {
  const [, platform, project, stack] = MARK_TEXT.exec(text ?? "") ?? [];
  if (platform && project && stack) return markOf({ platform, project, stack });
  const [, before] = MARK_TEXT_BEFORE.exec(text ?? "") ?? [];
  return before === undefined ? undefined : { "managed-by": MANAGED_BY, project: before };
}
