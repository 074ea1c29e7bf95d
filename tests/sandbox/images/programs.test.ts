import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { extract } from "tar-stream";
import { Blobs } from "../../../sandbox/images/blobs.ts";
import type { Image } from "../../../sandbox/images/image.ts";
import { packAgent, packPrograms } from "../../../sandbox/images/programs.ts";
import { requireCommand } from "../../../sandbox/process.ts";
import { rejected } from "../../support/errors.ts";
import { testVariables } from "../../support/variables.ts";

describe("an image of this machine's programs", () => {
  const set = testVariables();
  let folder: string;
  let blobs: Blobs;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-programs-"));
    blobs = new Blobs(join(folder, "store"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Puts a program in the first folder of PATH. */
  async function install(name: string, script: string): Promise<void> {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    set({ PATH: `${folder}${delimiter}${process.env.PATH}` });
  }

  it("has the programs, their libraries, the loader and certificate authorities", async () => {
    const image = await packPrograms(blobs, ["sh", "ls"], { entrypoint: ["/bin/sh"] });
    const names = await namesOf(image);
    for (const file of ["bin/sh", "bin/ls", "etc/ssl/certs/ca-certificates.crt", "etc/passwd"]) {
      assert.ok(names.includes(file), file);
    }
    const { stdout } = await execa("ldd", [await requireCommand("ls")]);
    const libraries = stdout.match(/\/\S+/g) ?? [];
    assert.ok(libraries.length >= 2, stdout);
    for (const library of libraries) assert.ok(names.includes(library.slice(1)), library);
  });

  it("runs", async function () {
    // Only root may change the root folder of a process.
    if (process.getuid?.() !== 0) this.skip();
    const { layers } = await packPrograms(blobs, ["sh", "ls"]);
    const root = join(folder, "root");
    await execa("mkdir", [root]);
    for (const { digest } of layers) await execa("tar", ["-xf", blobs.file(digest), "-C", root]);
    const { stdout } = await execa("chroot", [root, "/bin/sh", "-c", "ls -d /bin/* /tmp"]);
    assert.deepEqual(stdout.split("\n"), ["/bin/ls", "/bin/sh", "/tmp"]);
  });

  it("is made from a static program as well", async () => {
    await copyFile(await requireCommand("sh"), join(folder, "static"));
    await install("ldd", 'echo "not a dynamic executable" >&2; exit 1');
    const names = await namesOf(await packPrograms(blobs, ["static"]));
    assert.ok(names.includes("bin/static"));
    assert.ok(!names.some((name) => name.startsWith("lib")));
  });

  it("is not made from a script, a missing program or one that lacks a library", async () => {
    await install("script", "exit 0");
    const script = await rejected(
      packPrograms(blobs, ["script"]),
      /\/script is a script; an image needs a program \(ELF\)\.$/,
    );
    assert.equal(script.name, "RDEV_SANDBOX");
    const missing = await rejected(packPrograms(blobs, ["no-such-program"]), /no-such-program/);
    assert.equal(missing.name, "RDEV_PREREQUISITE");
    await install(
      "ldd",
      'printf "\\tlibx.so.1 => not found\\n\\tlibc.so.6 => /lib/libc.so.6 (0x1)\\n"',
    );
    await rejected(
      packPrograms(blobs, ["sh"]),
      /\/sh cannot be packed: this machine lacks its libraries libx\.so\.1\.$/,
    );
  });

  it("is the log agent's where the machine has a fluent-bit, and else there is none", async () => {
    await copyFile(await requireCommand("true"), join(folder, "fluent-bit"));
    set({ PATH: `${folder}${delimiter}${process.env.PATH}` });
    const image = await packAgent(blobs);
    assert.ok(image && (await namesOf(image)).includes("bin/fluent-bit"));
    await rm(join(folder, "fluent-bit"));
    set({ PATH: folder });
    assert.equal(await packAgent(blobs), undefined);
  });
});

/** The paths of all files in an image. */
async function namesOf({ blobs, layers }: Image): Promise<string[]> {
  const names: string[] = [];
  for (const { digest } of layers) {
    for await (const entry of createReadStream(blobs.file(digest)).pipe(extract())) {
      if (entry.header.type === "file") names.push(entry.header.name);
      entry.resume();
    }
  }
  return names;
}
