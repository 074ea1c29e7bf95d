import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { type Header, pack, type Pack } from "tar-stream";

/** A file's content: bytes, or a file on this machine. */
export type Content = { readonly content: string | Buffer } | { readonly source: string };

/** A member of a tar archive. */
export interface Member {
  readonly header: Pick<Header, "name" | "type" | "mode"> &
    Partial<Pick<Header, "uid" | "gid" | "linkname">>;
  /** Missing for folders and links. */
  readonly content?: Content;
}

/**
 * Writes members as a tar archive, in the given order. The same members give the same bytes: every
 * member has the time 1970-01-01, and owners are numbers without names.
 */
export async function writeTar(
  members: readonly Member[],
  consume: (archive: Pack) => Promise<unknown>,
): Promise<void> {
  const archive = pack();
  const fill = async () => {
    try {
      for (const member of members) await addMember(archive, member);
      archive.finalize();
    } catch (error) {
      archive.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  };
  const [filled, consumed] = await Promise.allSettled([fill(), consume(archive)]);
  // A failed member also breaks the archive, so its error is the cause.
  for (const result of [filled, consumed]) if (result.status === "rejected") throw result.reason;
}

async function addMember(archive: Pack, { header, content }: Member): Promise<void> {
  const common = { ...header, mtime: new Date(0) };
  if (content === undefined) {
    archive.entry(common);
    return;
  }
  if ("source" in content) {
    const { size } = await stat(content.source);
    await pipeline(createReadStream(content.source), archive.entry({ ...common, size }));
    return;
  }
  archive.entry(common, Buffer.from(content.content));
}
