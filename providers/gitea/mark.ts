import { ownershipText } from "../../core/ownership.ts";

/** Part of the description, because that is set by the very call that makes the repository. */
export function mark(project: string): string {
  return `(${ownershipText(project)})`;
}

export function isMarked({ description }: { readonly description: string }, project: string) {
  return description.includes(mark(project));
}
