import { readdir, readlink, stat } from "node:fs/promises";
import { posix, join, relative } from "node:path";
import { problems } from "../../core/errors.ts";
import type { Content, Member } from "./tar.ts";

export interface EntryOptions {
  /** From 1 to 0o7777. @default 0o755 for folders and executable files, else 0o644 */
  readonly mode?: number;
  /** @default root, 0:0 */
  readonly owner?: Owner;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A file, a symbolic link or a folder of an image. `path` is absolute in the image. Missing parent
 * folders are added, with root as the owner and mode 0o755.
 */
export type Entry = { readonly path: string } & EntryOptions &
  (Content | { readonly link: string } | { readonly folder: true });

const ROOT: Owner = { uid: 0, gid: 0 };
const FOLDER_MODE = 0o755;
const MAX_MODE = 0o7777;

/** Whether the owner may execute a file. */
const EXECUTABLE = 0o100;

/**
 * The files, links and folders below a local folder, as entries below `at`. They get the default
 * modes, so that the user's umask does not change the image.
 */
export async function entriesOf(
  folder: string,
  at: string,
  { owner }: Pick<EntryOptions, "owner"> = {},
): Promise<Entry[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return Promise.all(
    found.map(async (one): Promise<Entry> => {
      const source = join(one.parentPath, one.name);
      const path = posix.join(at, relative(folder, source));
      const common = { path, ...(owner && { owner }) };
      if (one.isDirectory()) return { ...common, folder: true };
      if (one.isSymbolicLink()) return { ...common, link: await readlink(source) };
      return { ...common, source };
    }),
  );
}

/**
 * The members of a layer, sorted by path, so that a parent precedes its children and the order of the
 * entries does not matter. Errors: RDEV_SANDBOX names every bad entry.
 */
export async function layerMembers(entries: readonly Entry[]): Promise<Member[]> {
  const byPath = new Map<string, Entry>();
  const mistakes: string[] = [];
  for (const entry of entries) {
    if (byPath.has(entry.path)) mistakes.push(`${entry.path} is there twice`);
    byPath.set(entry.path, entry);
    mistakes.push(...(await mistakesOf(entry)));
  }
  for (const parent of [...byPath.keys()].flatMap(parentsOf)) {
    const entry = byPath.get(parent);
    if (entry === undefined) byPath.set(parent, { path: parent, folder: true });
    else if (!("folder" in entry)) {
      mistakes.push(`${parent} has entries below it, so it must be a folder`);
    }
  }
  if (mistakes.length > 0) {
    throw problems("RDEV_SANDBOX", "The image cannot be packed:", [...new Set(mistakes)]);
  }
  const sorted = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return Promise.all(sorted.map(memberOf));
}

async function mistakesOf(entry: Entry): Promise<string[]> {
  const { path, mode = FOLDER_MODE, owner = ROOT } = entry;
  const mistakes: string[] = [];
  if (!path.startsWith("/") || posix.normalize(path) !== path || /^\/$|\/$|\0/.test(path)) {
    mistakes.push(
      `${JSON.stringify(path)} is not an absolute path of an image, such as /etc/hosts`,
    );
  }
  if (!Number.isInteger(mode) || mode < 1 || mode > MAX_MODE) {
    mistakes.push(`${path} has the mode 0o${mode.toString(8)}, which is not from 1 to 0o7777`);
  }
  if (![owner.uid, owner.gid].every((id) => Number.isInteger(id) && id >= 0)) {
    mistakes.push(`${path} has the owner ${owner.uid}:${owner.gid}, which is not two ids`);
  }
  if ("source" in entry) {
    const found = await stat(entry.source).catch(() => undefined);
    if (!found?.isFile()) {
      const what = found ? "is not a file" : "does not exist";
      mistakes.push(`${entry.source}, the source of ${path}, ${what}`);
    }
  }
  return mistakes;
}

async function memberOf(entry: Entry): Promise<Member> {
  const { path, owner = ROOT } = entry;
  const header = { name: path.slice(1), ...owner, mode: entry.mode ?? (await defaultMode(entry)) };
  if ("folder" in entry) return { header: { ...header, type: "directory" } };
  if ("link" in entry) {
    return { header: { ...header, type: "symlink", linkname: entry.link, mode: 0o777 } };
  }
  return { header: { ...header, type: "file" }, content: entry };
}

async function defaultMode(entry: Entry): Promise<number> {
  if ("folder" in entry) return FOLDER_MODE;
  if (!("source" in entry)) return 0o644;
  const { mode } = await stat(entry.source);
  return (mode & EXECUTABLE) === 0 ? 0o644 : 0o755;
}

/** The folders above an absolute path, without the root. */
function parentsOf(path: string): string[] {
  const names = path.split("/").slice(1, -1);
  return names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
}
