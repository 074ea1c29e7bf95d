import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { InfraError } from "../core/errors.ts";
import type { Report } from "./context.ts";
import { updateLists } from "./debian.ts";
import { withLock } from "./lock.ts";

/** Newer than any version that a package can ask for. */
const PROVIDED_VERSION = "999";

export interface DebianFolder {
  /** The folder that stands for `/`. */
  readonly root: string;
  /** Each with its version: `git 1:2.39.5-0+deb12u2`. */
  readonly packages: readonly string[];
}

export interface DebianFolderOptions {
  /** Keeps one folder for each set of packages and versions. */
  readonly cache: string;
  /** The part of the progress: `browser`. */
  readonly part: string;
  readonly report: Report;
  /** Packages that are needed by others, and left out. Default: none. */
  readonly leftOut?: readonly string[];
}

/**
 * Unpacks Debian packages and everything that they depend on, in this machine's release, into a folder.
 * No script of a package runs, and nothing is installed. apt checks each download against Debian's
 * signed lists. Errors: RDEV_PREREQUISITE with apt's words.
 */
export async function debianFolder(
  names: readonly string[],
  { cache, part, report, leftOut = [] }: DebianFolderOptions,
): Promise<DebianFolder> {
  await mkdir(cache, { recursive: true });
  await updateLists(report);
  const packages = await closure(names, leftOut, cache);
  const key = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
  const root = join(cache, `debian-${key}`);
  if (!existsSync(root)) {
    await withLock(
      `${root}.lock`,
      async () => {
        if (existsSync(root)) return;
        report(part, `downloading ${packages.length} Debian packages`);
        await unpack(packages, root, cache);
      },
      () => report(part, "waiting for another process that downloads the same Debian packages"),
    );
  }
  return { root, packages };
}

/** The packages that apt would install on a machine that has only `leftOut`. */
async function closure(
  names: readonly string[],
  leftOut: readonly string[],
  cache: string,
): Promise<string[]> {
  const folder = await mkdtemp(join(cache, "status-"));
  try {
    const status = join(folder, "status");
    await writeFile(status, leftOut.map(installed).join(""));
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
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function installed(name: string): string {
  const fields = {
    Package: name,
    Status: "install ok installed",
    Version: PROVIDED_VERSION,
    // `Multi-Arch: foreign` satisfies packages of every architecture.
    Architecture: "all",
    "Multi-Arch": "foreign",
    Maintainer: "none",
    Description: "left out",
  };
  const lines = Object.entries(fields).map(([field, value]) => `${field}: ${value}\n`);
  return `${lines.join("")}\n`;
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
