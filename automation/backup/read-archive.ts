import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { InfraError } from "../../core/errors.ts";
import { MIGRATIONS } from "../store/migrate.ts";
import { decrypted, type Identities } from "./encryption.ts";
import {
  damaged,
  type Entry,
  type Header,
  type Manifest,
  MANIFEST,
  parseHeader,
  parseManifest,
} from "./format.ts";

export interface Archive extends Manifest {
  readonly header: Header;
}

/**
 * Reads an archive to its end and passes each entry, one at a time, without the header and the manifest.
 * An entry that `onEntry` gets may still turn out to be changed: only once this has resolved, the
 * archive is complete and every entry has the size and SHA-256 of the manifest.
 *
 * Rejects with RDEV_BACKUP, RDEV_BACKUP_KEY or RDEV_BACKUP_VERSION, and with what `onEntry` throws.
 */
export async function readArchive(
  file: string,
  identities: Identities,
  onEntry: (entry: Entry, header: Header) => Promise<void> = async () => undefined,
): Promise<Archive> {
  let header: Header | undefined;
  let manifest: Manifest | undefined;
  const found: Manifest["entries"] = [];
  for await (const entry of entriesIn(file, identities)) {
    const { name, content } = entry;
    if (manifest) throw damaged(`${name} comes after ${MANIFEST}`);
    if (name === MANIFEST) {
      manifest = parseManifest(content);
      continue;
    }
    const sha256 = createHash("sha256").update(content).digest("hex");
    found.push({ name, bytes: content.length, sha256 });
    if (header) await onEntry(entry, header);
    else header = parseHeader(entry, Object.keys(MIGRATIONS));
  }
  if (!header) throw damaged("it is empty");
  if (!manifest) throw damaged(`it ends before ${MANIFEST}, so it was cut short`);
  compare(found, manifest.entries);
  return { header, ...manifest };
}

/** Throws RDEV_BACKUP with the first difference. */
function compare(found: Manifest["entries"], wanted: Manifest["entries"]): void {
  for (const [index, { name, bytes, sha256 }] of wanted.entries()) {
    const entry = found[index];
    if (entry?.name !== name) throw damaged(`the part ${name} is missing`);
    if (entry.bytes !== bytes || entry.sha256 !== sha256) {
      throw damaged(`the part ${name} does not have the SHA-256 that its manifest names`);
    }
  }
  const surplus = found[wanted.length];
  if (surplus) throw damaged(`its manifest does not name the part ${surplus.name}`);
}

async function* entriesIn(file: string, identities: Identities): AsyncGenerator<Entry> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new InfraError("RDEV_BACKUP", `The backup ${file} cannot be read (${error.code}).`);
  });
  const source = handle.createReadStream({ start: 0, autoClose: false });
  try {
    const plain = await decrypted(source, await startOf(handle), identities);
    const archive = extract();
    const flow = pipeline(plain, createGunzip(), archive);
    flow.catch(() => undefined); // the loop below throws the same error
    for await (const entry of archive) {
      yield { name: entry.header.name, content: await buffer(entry) };
    }
    await flow;
  } catch (cause) {
    if (cause instanceof InfraError) throw cause;
    throw damaged("it is cut short or was changed", { cause });
  } finally {
    source.destroy();
    await handle.close();
  }
}

/** The file's first bytes, without moving its position. */
async function startOf(handle: FileHandle): Promise<string> {
  const { buffer: bytes, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0);
  return bytes.toString("latin1", 0, bytesRead);
}
