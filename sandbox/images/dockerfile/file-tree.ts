import { readdir, readFile } from "node:fs/promises";
import { join, posix, relative } from "node:path";
import ignore from "ignore";

/** The files below a folder, by their relative paths. */
export interface FileTree {
  readonly folder: string;
  readonly files: ReadonlySet<string>;
  /** Links are not copied, because their targets may be files of this machine. */
  readonly links: ReadonlySet<string>;
}

/** A file that COPY takes. */
export interface Match {
  readonly source: string;
  /** Relative to the target. */
  readonly path: string;
  /** Whether a source names the file's folder, whose contents are copied. */
  readonly isInFolder: boolean;
}

/** Reads a folder. Leaves out what the patterns of its `.dockerignore` exclude. */
export async function readBuildContext(folder: string): Promise<FileTree> {
  const text = await readFile(join(folder, ".dockerignore"), "utf8").catch(() => "");
  // Unlike in a .gitignore, a pattern matches only from the root on.
  const patterns = text.split("\n").map((line) => line.trim().replace(/^(!?)\/?(?=[^#])/, "$1/"));
  return readTree(folder, ignore().add(patterns).createFilter());
}

/** Reads a folder. */
export async function readTree(
  folder: string,
  isWanted: (path: string) => boolean = () => true,
): Promise<FileTree> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = (matches: (entry: (typeof found)[number]) => boolean) =>
    new Set(
      found
        .filter(matches)
        .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
        .filter(isWanted),
    );
  return {
    folder,
    files: paths((entry) => entry.isFile()),
    links: paths((entry) => entry.isSymbolicLink()),
  };
}

/**
 * The files that a source of COPY names: a file, a folder with all its contents, or a pattern.
 * Returns a reason if it names none, or a symbolic link.
 */
export function matchesOf(tree: FileTree, source: string): Match[] | string {
  const depth = source === "" ? 0 : source.split("/").length;
  const matches: Match[] = [];
  for (const path of [...tree.files, ...tree.links]) {
    const names = path.split("/");
    const named = names.slice(0, depth).join("/");
    if (named !== source && !posix.matchesGlob(named, source)) continue;
    if (tree.links.has(path)) return `${path} is a symbolic link; copy the file that it names`;
    const isInFolder = names.length > depth;
    const rest = isInFolder ? names.slice(depth).join("/") : posix.basename(path);
    matches.push({ source: join(tree.folder, path), path: rest, isInFolder });
  }
  return matches.length > 0 ? matches : `there is no file ${source || "at all"}`;
}
