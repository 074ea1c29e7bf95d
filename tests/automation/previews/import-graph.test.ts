import assert from "node:assert/strict";
import { join } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { importsOf } from "../../../automation/previews/import-graph.ts";
import { stacksChangedSince } from "../../../automation/previews/changed.ts";

const ROOT = join(import.meta.dirname, "../../..");

describe("the imports of a program", () => {
  it("are all that a whole tool finds", async () => {
    const { output } = await cruise(["index.ts"], {
      baseDir: ROOT,
      doNotFollow: { path: "node_modules" },
      exclude: { path: "^(node_modules|templates)/" },
      tsPreCompilationDeps: true,
    });
    const own = (output as ICruiseResult).modules.filter(
      ({ coreModule, couldNotResolve, source }) =>
        !coreModule && !couldNotResolve && source.endsWith(".ts"),
    );
    const found = await importsOf(ROOT, "index.ts");
    assert.ok(own.length > 50);
    assert.deepEqual(
      own.map(({ source }) => source).filter((file) => !found.has(file)),
      [],
    );
  });

  it("are not asked for where git does not know the base: that is all stacks", async () => {
    const stacks = ["staging", "staging.shop"];
    const places = { root: ROOT, workDir: ROOT };
    const changed = await stacksChangedSince("--no-such-base", stacks, places);
    assert.deepEqual(changed.stacks, stacks);
    assert.match(changed.why, /^all: what changed since --no-such-base cannot be told/);
  });
});
