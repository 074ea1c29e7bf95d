import { readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "amaro";
import { init, parse } from "es-module-lexer";

const ROOT = join(import.meta.dirname, "../..");
const ENTRY = "page/main.ts";
/** Begins the first view's requests. */
const START = "page/start.ts";

/** The folders whose modules a browser may get. */
const SERVED = /^(page|core|node_modules)\//;

const RELATIVE = /^\.\.?\//;

/** The browser's modules, by their paths in this repository. */
export interface Modules {
  readonly sources: ReadonlyMap<string, string>;
  /** The path for each package that a module imports. */
  readonly packages: ReadonlyMap<string, string>;
  /** The module that begins the first view's requests, and all that it imports. */
  readonly start: readonly string[];
  /** The other modules that the first view needs: all that are imported statically. */
  readonly first: readonly string[];
}

/**
 * Reads `page/main.ts`, `page/start.ts` and everything that they import, and strips the types. There is no
 * list of files: what no module of the page imports is not served. Throws if one imports anything that no
 * browser has.
 */
export async function readModules(): Promise<Modules> {
  await init();
  const sources = new Map<string, string>();
  const packages = new Map<string, string>();
  const read = async (path: string): Promise<string[]> => {
    if (!SERVED.test(path)) throw new Error(`The page must not import ${path}.`);
    const text = await readFile(join(ROOT, path), "utf8");
    const source = path.endsWith(".ts") ? withoutTypes(text) : text;
    sources.set(path, source);
    const later: string[] = [];
    for (const { type, specifier: name } of parse(source)[0]) {
      if (typeof name !== "string") continue;
      const target = targetOf(name, path);
      if (!RELATIVE.test(name)) packages.set(name, target);
      if (type.startsWith("dynamic")) later.push(target);
      else if (!sources.has(target)) later.push(...(await read(target)));
    }
    return later;
  };
  const atStart = await read(START);
  const start = [...sources.keys()];
  let waiting = [...atStart, ...(await read(ENTRY))];
  const first = [...sources.keys()].slice(start.length);
  while (waiting.length > 0) {
    const [path = ENTRY, ...others] = waiting;
    waiting = sources.has(path) ? others : [...others, ...(await read(path))];
  }
  return { sources, packages, start, first };
}

/** Types become spaces, so that positions in the browser's errors are those of the file. */
function withoutTypes(text: string): string {
  return transformSync(text, { mode: "strip-only" }).code;
}

/** The path in this repository of what a module imports. */
function targetOf(name: string, from: string): string {
  if (RELATIVE.test(name)) return join(dirname(from), name);
  const url = import.meta.resolve(name);
  if (!url.startsWith("file:")) throw new Error(`${from} imports ${name}, which no browser has.`);
  return relative(ROOT, fileURLToPath(url));
}
