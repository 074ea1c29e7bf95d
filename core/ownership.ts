/**
 * The mark on everything that rdev-infra makes. Delete and adopt touch only what carries it.
 * Each system keeps it where it can: labels, a topic, a comment, metadata.
 */
export const MANAGED_BY = "rdev-infra";

/** As key and value, for systems with labels or metadata. */
export interface Ownership {
  readonly "managed-by": typeof MANAGED_BY;
  readonly project: string;
}

/** `project` is the slug, or the platform's name for what the platform stack makes. */
export function ownership(project: string): Ownership {
  return { "managed-by": MANAGED_BY, project };
}

/** As one line, for systems with a comment or description only. */
export function ownershipText(project: string): string {
  return `managed-by: ${MANAGED_BY}, project: ${project}`;
}

export function isOwnedBy(mark: Readonly<Record<string, string>> | undefined, project: string) {
  return mark?.["managed-by"] === MANAGED_BY && mark["project"] === project;
}
