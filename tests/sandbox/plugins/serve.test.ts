import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPlugin } from "../../../automation/engine/plugin-process.ts";
import { RawEngine } from "../../support/raw-plugin.ts";

const PROGRAM = join(import.meta.dirname, "../../../sandbox/plugins/random/pulumi-resource-random");

describe("a stand-in for a plugin", function () {
  this.timeout(60_000);
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "rdev-plugin-"))));
  after(() => rm(folder, { recursive: true }));

  it("keeps its compiled code for the next start, although the engine kills it", async () => {
    const env = { ...process.env, NODE_COMPILE_CACHE: folder };
    const plugin = await startPlugin(PROGRAM, { engine: "127.0.0.1:1", cwd: folder, env });
    const engine = new RawEngine(plugin.port);
    try {
      assert.deepEqual(await readdir(folder, { recursive: true }).then(files), []);
      await engine.call("cancel");
    } finally {
      engine.close();
      plugin.kill();
      await plugin.exited;
    }
    assert.notDeepEqual(await readdir(folder, { recursive: true }).then(files), []);
  });
});

/** Without the folder that Node makes at the start. */
function files(paths: readonly string[]): string[] {
  return paths.filter((path) => path.includes("/"));
}
