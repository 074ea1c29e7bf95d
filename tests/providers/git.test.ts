import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runLocalGit } from "../../providers/git/git.ts";

describe("git", () => {
  it("ignores a configuration that a checkout contains", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-git-"));
    await writeFile(join(folder, ".gitconfig"), "[planted]\n\tname = x\n");
    const args = ["config", "--get", "planted.name"];
    const { stdout, isAccepted } = await runLocalGit(folder, args, { accept: 1 });
    assert.deepEqual([stdout, isAccepted], ["", true]);
    await rm(folder, { recursive: true });
  });
});
