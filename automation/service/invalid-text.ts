/** The request holds text that PostgreSQL refuses. */
export class InvalidTextError extends Error {}

interface Node {
  readonly key: string;
  readonly parent: Node | undefined;
}

/** The paths of all keys and values with NUL or a lone surrogate. Bytes, such as a raw body, are no text. */
export function invalidTextPaths(value: unknown): string[][] {
  const found: string[][] = [];
  // Iterative and with shared paths, because a body of 64 KiB can be nested 30,000 deep.
  const stack: { readonly node: Node | undefined; readonly value: unknown }[] = [
    { node: undefined, value },
  ];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { node: parent, value: part } = next;
    if (typeof part === "string") {
      if (isInvalid(part)) found.push(pathOf(parent));
    } else if (typeof part === "object" && part !== null && !ArrayBuffer.isView(part)) {
      for (const [key, inner] of Object.entries(part)) {
        const node = { key, parent };
        if (isInvalid(key)) found.push(pathOf(node));
        else stack.push({ node, value: inner });
      }
    }
  }
  return found;
}

function pathOf(leaf: Node | undefined): string[] {
  const path: string[] = [];
  for (let node = leaf; node; node = node.parent) path.push(node.key);
  return path.reverse();
}

function isInvalid(text: string): boolean {
  return text.includes("\0") || !text.isWellFormed();
}
