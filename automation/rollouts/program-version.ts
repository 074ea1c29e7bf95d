import { createHash } from "node:crypto";
import { relative } from "node:path";
import { z } from "zod";
import { PACKAGE } from "../engine/folders.ts";
import { importsOf, programs } from "../previews/changed.ts";
import { readWithin } from "../previews/read-within.ts";

/** In characters of the hash: enough to tell the versions of one program apart. */
const HASH_LENGTH = 12;

const manifest = z.object({
  /** A comment shows it, so it must not be Markdown. */
  version: z.string().regex(/^[\w.+-]{1,64}$/),
  dependencies: z.record(z.string(), z.string()),
});

/**
 * The version of the program of projects: the package's version, and a hash of the files that the
 * program imports and of the packages' pinned versions, such as `0.1.0+3f2a9c1b0d4e`. A change of anything else,
 * such as a template or the platform's program, does not change it. `program` is a module in place
 * of this package's program. `root` is another checkout of this package; nothing in it is run.
 */
export async function programVersion(program?: string, root = PACKAGE): Promise<string> {
  const text = await readWithin(root, "package.json");
  const { version, dependencies } = manifest.parse(JSON.parse(text.toString()));
  const files = program
    ? await importsOf(root, relative(root, program))
    : (await programs(root)).project;
  const hash = createHash("sha256").update(JSON.stringify(dependencies));
  const sorted = [...files].toSorted();
  const contents = await Promise.all(sorted.map((file) => readWithin(root, file)));
  for (const [index, content] of contents.entries()) {
    hash.update(`\0${sorted[index]}\0${content.length}\0`).update(content);
  }
  return `${version}+${hash.digest("hex").slice(0, HASH_LENGTH)}`;
}
