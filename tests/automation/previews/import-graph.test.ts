import assert from "node:assert/strict";
import { join } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { importsOf } from "../../../automation/previews/import-graph.ts";

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
});
