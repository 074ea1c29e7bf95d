import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { mergedVersion } from "../../../automation/previews/merged-version.ts";

const run = promisify(execFile);

describe("the version at a merged commit", () => {
  let root: string;
  let outside: string;
  const git = async (...args: string[]) => {
    const identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.test"];
    return (await run("git", [...identity, ...args], { cwd: root })).stdout.trim();
  };
  const write = (file: string, text: string) => writeFile(join(root, file), text);
  const versionOfCommit = async () => {
    await git("add", "--all");
    await git("commit", "--quiet", "--message", "a change");
    const remote = { url: pathToFileURL(root).href, token: "unused" };
    return mergedVersion(remote, { commit: await git("rev-parse", "HEAD"), base: "main" });
  };

  beforeEach(async () => {
    outside = await mkdtemp(join(tmpdir(), "rdev-outside-"));
    await writeFile(join(outside, "file.ts"), "export {};\n");
    root = await mkdtemp(join(tmpdir(), "rdev-merged-"));
    await git("init", "--quiet", "--initial-branch", "main");
    await mkdir(join(root, "stacks"));
    await write("package.json", '{ "version": "1.2.3", "dependencies": {} }');
    await write(
      "index.ts",
      'import "./stacks/platform.ts";\nawait import("./stacks/project.ts");\n',
    );
    await write("stacks/platform.ts", "export {};\n");
    await write("stacks/project.ts", "export {};\n");
  });

  afterEach(async () => {
    for (const folder of [root, outside]) await rm(folder, { recursive: true });
  });

  it("changes with the program of projects, and with nothing else", async () => {
    const first = await versionOfCommit();
    assert.match(first, /^1\.2\.3\+[0-9a-f]{12}$/);
    await write("stacks/platform.ts", "export const x = 1;\n");
    assert.equal(await versionOfCommit(), first);
    await write("stacks/project.ts", "export const x = 1;\n");
    assert.notEqual(await versionOfCommit(), first);
  });

  it("is refused if the program reaches out of the checkout, as to a device that never ends", async () => {
    const path = join(outside, "file.ts");
    await write("stacks/project.ts", `import "../../${basename(outside)}/file.ts";\n`);
    await assert.rejects(versionOfCommit(), { code: "RDEV_REFUSED" });
    for (const file of ["stacks/project.ts", "package.json"]) {
      await rm(join(root, file));
      await symlink(path, join(root, file));
      await assert.rejects(versionOfCommit(), { code: "RDEV_REFUSED" }, file);
      await rm(join(root, file));
      await write(file, '{ "version": "1.2.3", "dependencies": {} }');
    }
  });

  it("is refused if the commit has no such program, or one that cannot be read", async () => {
    for (const [file, text] of [
      ["stacks/project.ts", "import {"],
      ["package.json", "no JSON"],
      ["index.ts", undefined],
    ] as const) {
      if (text === undefined) await rm(join(root, file));
      else await write(file, text);
      await assert.rejects(versionOfCommit(), {
        code: "RDEV_REFUSED",
        message: /is not one of this program/,
      });
    }
  });
});
