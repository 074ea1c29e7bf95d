import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

/** Every way to name a module of this package. In a comment as well: one too many does no harm. */
const IMPORTS = /(?:\bfrom|\bimport|\bimport\s*\()\s*["'](\.{1,2}\/[^"']+)["']/g;

/** The files that a module imports, directly or not, and itself; but for those behind `without`. */
export async function importsOf(
  root: string,
  entry: string,
  without: readonly string[] = [],
): Promise<Set<string>> {
  const found = new Set<string>();
  const queue = [entry];
  for (const file of queue) {
    if (found.has(file) || without.includes(file)) continue;
    const text = await readFile(join(root, file), "utf8");
    found.add(file);
    for (const [, path = ""] of text.matchAll(IMPORTS)) {
      queue.push(normalize(join(dirname(file), path)).replaceAll("\\", "/"));
    }
  }
  return found;
}
