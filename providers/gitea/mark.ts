import { markIn, markText, type Owner, ownershipOf, type Ownership } from "../../core/ownership.ts";

/** Part of the description, because that is set by the very call that makes the repository. */
export function mark(owner: Owner): string {
  return `(${markText(owner)})`;
}

/** What the description of a repository says of its owner. */
export function describedOwnership(
  { description }: { readonly description: string },
  owner: Owner,
): Ownership {
  return ownershipOf(markIn(description), owner);
}
