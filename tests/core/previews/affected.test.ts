import assert from "node:assert/strict";
import { affectedStacks } from "../../../core/previews/affected.ts";

const STACKS = ["staging", "staging.blog", "staging.old", "staging.shop"];
const program = {
  platform: new Set(["index.ts", "stacks/platform.ts", "core/labels.ts"]),
  project: new Set(["index.ts", "stacks/project.ts", "core/labels.ts", "components/database.ts"]),
  templateOf: (stack: string) =>
    ({ "staging.shop": "skeleton", "staging.blog": "site" })[stack as "staging.shop"],
};
const affected = (...files: string[]) => affectedStacks(files, STACKS, program).stacks;

describe("affectedStacks", () => {
  it("follows the imports of each kind of stack's program", () => {
    assert.deepEqual(affected("components/database.ts"), STACKS.slice(1));
    assert.deepEqual(affected("stacks/platform.ts"), ["staging"]);
    assert.deepEqual(affected("core/labels.ts"), STACKS);
    assert.deepEqual(affected("index.ts"), STACKS);
    assert.deepEqual(affected("core/cpl/parser.ts"), []);
  });

  it("selects the projects of a changed template, and those with an unknown template", () => {
    assert.deepEqual(affected("templates/skeleton/main.go"), ["staging.old", "staging.shop"]);
  });

  it("selects a stack when its config changes, and a platform's projects as well", () => {
    assert.deepEqual(affected("Pulumi.staging.shop.yaml"), ["staging.shop"]);
    assert.deepEqual(affected("Pulumi.staging.yaml"), STACKS);
  });

  it("selects no stack for files outside the program", () => {
    const beside = [
      "docs/a.md",
      "README.md",
      "tests/x.ts",
      "cli/main.ts",
      ".woodpecker/preview.yml",
    ];
    assert.deepEqual(affected(...beside), []);
  });

  it("selects all stacks, with the reason, for an unknown kind of file", () => {
    for (const file of ["package-lock.json", "Pulumi.yaml", "new-folder/x.ts", "core/data.json"]) {
      const { stacks, why } = affectedStacks(["docs/a.md", file], STACKS, program);
      assert.deepEqual(stacks, STACKS);
      assert.equal(why, `all: ${file} may affect any stack`);
    }
  });
});
