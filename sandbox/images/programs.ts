import { open } from "node:fs/promises";
import { execFile } from "node:child_process";
import { posix } from "node:path";
import { promisify } from "node:util";
import { InfraError } from "../../core/errors.ts";
import { findCommand, requireCommand } from "../process.ts";
import { baseEntries } from "./base.ts";
import type { Blobs } from "./blobs.ts";
import { type Image, type ImageConfig, packImage } from "./image.ts";
import type { Entry } from "./layer.ts";

/** The first bytes of a program in Linux's format, ELF. */
const ELF = "\x7fELF";

/**
 * Packs programs of this machine into /bin of an image, with the shared libraries that they load at
 * their start, certificate authorities and users.
 * Errors: RDEV_PREREQUISITE if there is no such program; RDEV_SANDBOX for a script, or if one of its
 * libraries is missing.
 */
export async function packPrograms(
  blobs: Blobs,
  names: readonly string[],
  config?: ImageConfig,
): Promise<Image> {
  const programs: Entry[] = [];
  const libraries = new Set<string>();
  for (const name of names) {
    const source = await requireCommand(name);
    programs.push({ path: posix.join("/bin", name), source, mode: 0o755 });
    for (const library of await librariesOf(source)) libraries.add(library);
  }
  return packImage(
    blobs,
    [
      await baseEntries(),
      [...libraries].map((path): Entry => ({ path, source: path, mode: 0o755 })),
      programs,
    ],
    config,
  );
}

/** The log agent's image, from the `fluent-bit` on PATH. Undefined if there is none. */
export async function packAgent(blobs: Blobs): Promise<Image | undefined> {
  if (!(await findCommand("fluent-bit"))) return undefined;
  return packPrograms(blobs, ["fluent-bit"], { entrypoint: ["/bin/fluent-bit"] });
}

/** The paths of the libraries and of the loader that a program names. None for a static program. */
async function librariesOf(program: string): Promise<string[]> {
  if (!(await isElf(program))) {
    throw new InfraError("RDEV_SANDBOX", `${program} is a script; an image needs a program (ELF).`);
  }
  // For a static program, ldd prints a sentence and exits with 1.
  const { stdout } = await promisify(execFile)("ldd", [program]).catch(() => ({ stdout: "" }));
  const missing = Array.from(stdout.matchAll(/^\s*(\S+) => not found$/gm), ([, name]) => name);
  if (missing.length > 0) {
    throw new InfraError(
      "RDEV_SANDBOX",
      `${program} cannot be packed: this machine lacks its libraries ${missing.join(", ")}.`,
    );
  }
  return Array.from(stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm), ([, path]) =>
    String(path),
  );
}

async function isElf(program: string): Promise<boolean> {
  const file = await open(program);
  try {
    const { buffer } = await file.read(Buffer.alloc(ELF.length), 0, ELF.length, 0);
    return buffer.toString("latin1") === ELF;
  } finally {
    await file.close();
  }
}
