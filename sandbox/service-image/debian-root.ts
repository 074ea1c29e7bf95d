import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { InfraError } from "../../core/errors.ts";
import type { Report } from "../context.ts";
import { updateLists } from "../debian.ts";
import { entriesOf, type Entry } from "../images/layer.ts";

/** What slim images leave out. */
const LEFT_OUT = /^\/usr\/share\/(doc|info|lintian|locale|man)(\/|$)/;

export interface DebianRoot {
  readonly entries: Entry[];
  /** Each with its version: `git 1:2.39.5-0+deb12u2`. */
  readonly packages: readonly string[];
}

/**
 * The files of Debian packages and of everything that they depend on, in this machine's release. No
 * script of a package runs. Downloads are checked by apt, and kept in `cache`.
 * Errors: RDEV_PREREQUISITE with apt's words.
 */
export async function debianRoot(
  names: readonly string[],
  { cache, report }: { readonly cache: string; readonly report: Report },
): Promise<DebianRoot> {
  await mkdir(cache, { recursive: true });
  await updateLists(report);
  const packages = await closure(names, cache);
  const key = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
  const root = join(cache, `debian-${key}`);
  if (!existsSync(root)) {
    report("image", `downloading ${packages.length} Debian packages`);
    await unpack(packages, root, cache);
  }
  const entries = await entriesOf(root, "/");
  return { entries: entries.filter(({ path }) => !LEFT_OUT.test(path)), packages };
}

/** What apt would install on a machine that has nothing. */
async function closure(names: readonly string[], cache: string): Promise<string[]> {
  const status = join(cache, "no-packages");
  await writeFile(status, "");
  const stdout = await apt(
    [
      ...["--simulate", "-o", `Dir::State::status=${status}`],
      ...["-o", "APT::Install-Recommends=false", "install", ...names],
    ],
    cache,
  );
  return [...stdout.matchAll(/^Inst (\S+) \((\S+)/gm)]
    .map(([, name, version]) => `${name} ${version}`)
    .sort();
}

async function unpack(packages: readonly string[], root: string, cache: string): Promise<void> {
  const draft = await mkdtemp(join(cache, "draft-"));
  try {
    const [archives, files] = [join(draft, "archives"), join(draft, "root")];
    await Promise.all([mkdir(archives), mkdir(files)]);
    await apt(["download", ...packages.map((each) => each.replace(" ", "="))], archives);
    // Not in parallel: packages share folders.
    for (const archive of await readdir(archives)) {
      await execa("dpkg-deb", ["--extract", join(archives, archive), files]);
    }
    await rename(files, root);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function apt(args: readonly string[], cwd: string): Promise<string> {
  const { stdout, stderr, failed } = await execa("apt-get", args, { cwd, reject: false });
  if (!failed) return stdout;
  throw new InfraError("RDEV_PREREQUISITE", `apt-get ${args.join(" ")} failed:\n${stderr}`);
}
