import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Member, writeTar } from "./tar.ts";

/** A reference to a blob, as the OCI image specification has it. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  /** In bytes. */
  readonly size: number;
}

/** The blobs of images, in the folder `blobs/sha256` of an OCI image layout. */
export class Blobs {
  readonly #folder: string;

  /** The folder is made when the first blob is written. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file of a blob. */
  file(digest: string): string {
    return join(this.#folder, pathInLayout(digest));
  }

  read(digest: string): Promise<Buffer> {
    return readFile(this.file(digest));
  }

  /** Writes bytes. */
  add(mediaType: string, content: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    return this.#add(mediaType, (file) => pipeline(content, file.hash, file.write));
  }

  /** Writes a value as JSON. */
  addJson(mediaType: string, value: unknown): Promise<Descriptor> {
    return this.add(mediaType, Readable.from([Buffer.from(JSON.stringify(value))]));
  }

  /** Writes members as a tar archive without compression, so its digest is also its diff id. */
  addTar(mediaType: string, members: readonly Member[]): Promise<Descriptor> {
    return this.#add(mediaType, (file) =>
      writeTar(members, (archive) => pipeline(archive, file.hash, file.write)),
    );
  }

  async #add(
    mediaType: string,
    write: (file: { hash: Transform; write: NodeJS.WritableStream }) => Promise<void>,
  ): Promise<Descriptor> {
    const sha256 = createHash("sha256");
    let size = 0;
    const hash = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        size += chunk.length;
        sha256.update(chunk);
        done(null, chunk);
      },
    });
    await mkdir(this.#folder, { recursive: true });
    const draft = join(this.#folder, `${randomUUID()}.draft`);
    try {
      await write({ hash, write: createWriteStream(draft) });
      const digest = `sha256:${sha256.digest("hex")}`;
      await mkdir(dirname(this.file(digest)), { recursive: true });
      await rename(draft, this.file(digest));
      return { mediaType, digest, size };
    } finally {
      await rm(draft, { force: true });
    }
  }
}

/** The path of a blob in an OCI image layout. */
export function pathInLayout(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}
