import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { destroy } from "../../automation/engine/stack.ts";
import { projects, succeeded } from "../support/stage.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Everything that the state refers to. */
const KEPT = ["Pulumi.yaml", "package.json", "node_modules", "providers", "core"];

describe("a destroy without the program", function () {
  this.timeout(400_000);
  const project = projects();
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-no-program-"));
    // Pulumi's CLI only checks that it exists.
    await writeFile(join(folder, "index.ts"), 'throw new Error("the program ran");\n');
    await Promise.all(KEPT.map((name) => symlink(join(ROOT, name), join(folder, name))));
  });
  after(() => rm(folder, { recursive: true }));

  it("needs neither stacks, components and templates nor the project's settings", async () => {
    const one = await project();
    succeeded(await one.up());
    succeeded(await destroy(one.stack, { workDir: folder, remove: true }));
    assert.deepEqual(await one.onServers(), []);
  });
});
