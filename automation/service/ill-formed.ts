/** A request holds text that no system behind the service takes. */
export class IllFormedRequest extends Error {}

interface Place {
  readonly key: string;
  readonly above: Place | undefined;
}

/** Where a value holds NUL or half of a surrogate pair, in keys as well: PostgreSQL refuses both. */
export function illFormedPaths(value: unknown): string[][] {
  const found: string[][] = [];
  // Not recursive, and no path is copied: a body of 64 KiB can be nested 30,000 deep.
  const waiting: { readonly at: Place | undefined; readonly value: unknown }[] = [
    { at: undefined, value },
  ];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { at: above, value: part } = next;
    if (typeof part === "string") {
      if (isIllFormed(part)) found.push(pathOf(above));
    } else if (typeof part === "object" && part !== null) {
      for (const [key, inner] of Object.entries(part)) {
        const at = { key, above };
        if (isIllFormed(key)) found.push(pathOf(at));
        else waiting.push({ at, value: inner });
      }
    }
  }
  return found;
}

function pathOf(place: Place | undefined): string[] {
  const path: string[] = [];
  for (let at = place; at; at = at.above) path.push(at.key);
  return path.reverse();
}

function isIllFormed(text: string): boolean {
  return text.includes("\0") || !text.isWellFormed();
}
