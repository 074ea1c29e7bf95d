import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { destroy } from "../../automation/engine/stack.ts";
import { projects, succeeded } from "../support/stage.ts";

const ROOT = join(import.meta.dirname, "../..");
/** What the state refers to, and no more. */
const KEPT = ["Pulumi.yaml", "package.json", "node_modules", "providers", "core"];

describe("a destroy where the program has gone", function () {
  this.timeout(400_000);
  const project = projects();
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-no-program-"));
    // Pulumi's CLI only looks whether it is there.
    await writeFile(join(folder, "index.ts"), 'throw new Error("it is run");\n');
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
