import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, rename, rm } from "node:fs/promises";
import { basename, join, normalize } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { type Dispatcher, fetch } from "undici";
import { z } from "zod";
import { InfraError } from "../core/errors.ts";
import type { ReleaseFile } from "./releases.ts";

/** https://docs.github.com/en/rest/releases/releases#get-a-release-by-tag-name */
const githubRelease = z.object({
  assets: z.array(z.object({ name: z.string(), digest: z.string().nullish() })),
});

/**
 * Downloads a file, compares it with its published checksum, and puts its programs into `folder`.
 * Errors: RDEV_SANDBOX names the file and what is wrong with it; then no program of it is there.
 */
export async function downloadPrograms(
  file: ReleaseFile,
  folder: string,
  dispatcher: Dispatcher,
): Promise<void> {
  const name = basename(file.url);
  const part = join(folder, `${name}.part`);
  try {
    const expected = await publishedDigest(file, dispatcher);
    const actual = await download(file.url, part, dispatcher);
    if (actual !== expected) {
      throw new Error(`its SHA-256 is ${actual}, but ${file.checksum} says ${expected}`);
    }
    if (typeof file.contains === "string") {
      await chmod(part, 0o755);
      await rename(part, join(folder, file.contains));
    } else {
      await unpack(part, folder, file.contains);
    }
  } catch (error) {
    throw new InfraError("RDEV_SANDBOX", `${file.url}: ${reason(error)}`, { cause: error });
  } finally {
    await rm(part, { force: true });
  }
}

/** Returns the SHA-256 of what was written. */
async function download(url: string, path: string, dispatcher: Dispatcher): Promise<string> {
  const body = await get(url, dispatcher);
  const hash = createHash("sha256");
  await pipeline(
    body,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(path),
  );
  return hash.digest("hex");
}

async function publishedDigest(file: ReleaseFile, dispatcher: Dispatcher): Promise<string> {
  const name = basename(file.url);
  const document = (await (await get(file.checksum, dispatcher)).toArray()).join("");
  const digest = document.startsWith("{")
    ? githubRelease
        .parse(JSON.parse(document))
        .assets.find((asset) => asset.name === name)
        ?.digest?.replace(/^sha256:/, "")
    : digestOf(name, document);
  if (!digest || !/^[0-9a-f]{64}$/.test(digest)) {
    throw new Error(`${file.checksum} has no SHA-256 for it`);
  }
  return digest;
}

/** The digest of a file in the output of `sha256sum`, or in a document that is only a digest. */
function digestOf(name: string, document: string): string | undefined {
  for (const line of document.trim().split("\n")) {
    const [digest, listed = name] = line.trim().split(/\s+\*?/);
    if (basename(listed) === name) return digest;
  }
  return undefined;
}

async function get(url: string, dispatcher: Dispatcher): Promise<Readable> {
  const response = await fetch(url, { dispatcher });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(`${url} answered with ${response.status}`);
  }
  if (new URL(response.url).protocol !== new URL(url).protocol) {
    await response.body.cancel();
    throw new Error(`${url} leads to ${response.url}`);
  }
  return Readable.fromWeb(response.body);
}

async function unpack(
  archive: string,
  folder: string,
  programs: Readonly<Record<string, string>>,
): Promise<void> {
  const left = new Map(Object.entries(programs).map(([name, path]) => [path, name]));
  const members = extract();
  const read = pipeline(createReadStream(archive), createGunzip(), members);
  const write = async () => {
    for await (const member of members) {
      const path = normalize(member.header.name);
      const name = left.get(path);
      if (name === undefined || member.header.type !== "file") {
        member.resume();
        continue;
      }
      await pipeline(member, createWriteStream(join(folder, name), { mode: 0o755 }));
      left.delete(path);
    }
  };
  await Promise.all([read, write()]);
  if (left.size > 0) throw new Error(`it contains no ${[...left.keys()].join(", ")}`);
}

/** undici puts the cause of a failed connection into `cause`. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
