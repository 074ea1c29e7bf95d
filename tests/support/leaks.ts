import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { constants, gunzipSync } from "node:zlib";

/** Bytes. Larger files are programs and databases. */
const MAX_SIZE = 32 * 1024 * 1024;

/** The first two bytes of a gzip file. */
const GZIP = 0x1f8b;

/** Finds secrets in text, also inside base64 or a URL. */
export class Secrets {
  readonly #forms: readonly (readonly [name: string, form: Buffer])[];

  /** The secrets by the name used in reports. */
  constructor(secrets: Readonly<Record<string, string>>) {
    this.#forms = Object.entries(secrets).flatMap(([name, secret]) =>
      formsOf(secret).map((form) => [name, Buffer.from(form)] as const),
    );
  }

  /** The names of the secrets in a text. */
  in(text: string | Buffer): string[] {
    const bytes = Buffer.from(text as string);
    const found = this.#forms.filter(([, form]) => bytes.includes(form)).map(([name]) => name);
    return [...new Set(found)];
  }
}

/** The plain text, the URL-escaped text, and base64 at each of the three offsets. */
function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.from(" ".repeat(before) + secret).toString("base64");
    // The first and the last characters depend on the surrounding text.
    return text.slice(before === 0 ? 0 : 4, -4);
  });
  return [...new Set([secret, encodeURIComponent(secret), ...base64])];
}

/** All files below a folder for which `isOpen` returns true, as for all folders on the way. */
export async function* filesUnder(
  folder: string,
  isOpen: (mode: number, isFolder: boolean) => boolean = () => true,
): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (!entry.isDirectory() && !entry.isFile()) continue;
    // The file may have been deleted.
    const found = await stat(path).catch(() => undefined);
    if (!found || !isOpen(found.mode, entry.isDirectory())) continue;
    if (entry.isDirectory()) yield* filesUnder(path, isOpen);
    else if (found.size <= MAX_SIZE) yield path;
  }
}

/** Whether other users can enter a folder or read a file. */
export const isOpenToOthers = (mode: number, isFolder: boolean): boolean =>
  (mode & (isFolder ? 0o001 : 0o004)) !== 0;

/** The secrets in files, as `<file>: <name>`. */
export async function leaksIn(files: AsyncIterable<string>, secrets: Secrets): Promise<string[]> {
  const found: string[] = [];
  for await (const file of files) {
    const content = await readFile(file).catch(() => Buffer.alloc(0));
    const names = new Set([...secrets.in(content), ...secrets.in(decompressed(content))]);
    found.push(...[...names].map((name) => `${file}: ${name}`));
  }
  return found;
}

/** Decompresses a gzip file, as far as it is complete: its writer may have been killed. */
function decompressed(content: Buffer): Buffer {
  if (content.length < 2 || content.readUInt16BE(0) !== GZIP) return Buffer.alloc(0);
  try {
    return gunzipSync(content, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}

/** The secrets in the arguments of running processes, as `<command>: <name>`. */
export async function leaksInArguments(secrets: Secrets): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.flatMap((line) => secrets.in(line).map((name) => `${line.split("\0")[0]}: ${name}`));
}
