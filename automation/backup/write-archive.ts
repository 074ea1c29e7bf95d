import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack, type Pack } from "tar-stream";
import { InfraError } from "../../core/errors.ts";
import { encrypting, type Recipients } from "./encryption.ts";
import { type Add, MANIFEST, type Manifest } from "./format.ts";

/** Writes the entries of an archive, and returns how many rows each table has. */
type Fill = (add: Add) => Promise<Manifest["rows"]>;

/**
 * Writes an archive beside `file`, as `<file>.part`, and renames it when it is complete and on the disk.
 * Memory holds one entry. Returns the size of the file in bytes. Rejects with RDEV_BACKUP if the file
 * cannot be written, and with what `fill` throws; nothing is left then.
 */
export async function writeArchive(
  file: string,
  {
    recipients,
    signal,
  }: { readonly recipients: Recipients; readonly signal?: AbortSignal | undefined },
  fill: Fill,
): Promise<number> {
  const part = `${file}.part`;
  const archive = pack();
  const written = pipeline(
    archive,
    createGzip(),
    recipients === "unencrypted" ? new PassThrough() : encrypting(recipients),
    createWriteStream(part, { flags: "wx", mode: 0o600, flush: true }),
    { signal },
  );
  const filled = fillArchive(archive, fill);
  try {
    // A failed file also ends `fill`, and a failed `fill` the file. The file's error is the cause of both.
    const [, result] = await Promise.allSettled([filled, written]);
    if (result.status === "rejected") throw result.reason;
    await filled;
    const { size } = await stat(part);
    await rename(part, file);
    return size;
  } catch (error) {
    await rm(part, { force: true });
    throw writeError(error, part);
  }
}

async function fillArchive(archive: Pack, fill: Fill): Promise<void> {
  const entries: Manifest["entries"] = [];
  const write = async (name: string, content: string | Buffer) => {
    const bytes = Buffer.from(content);
    const header = { name, size: bytes.length, mode: 0o600 };
    await pipeline(Readable.from([bytes]), archive.entry(header));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    entries.push({ name, bytes: bytes.length, sha256 });
  };
  try {
    const rows = await fill(write);
    await write(MANIFEST, JSON.stringify({ entries, rows } satisfies Manifest));
    archive.finalize();
  } catch (error) {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

function writeError(error: unknown, part: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof InfraError || syscall === undefined) return error;
  return new InfraError("RDEV_BACKUP", `The backup cannot be written to ${part} (${code}).`);
}
