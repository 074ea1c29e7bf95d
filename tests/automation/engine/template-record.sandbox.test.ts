import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { up } from "../../../automation/engine/stack.ts";
import { NO_CHANGES } from "../../../core/operation.ts";
import { seededText, seededVersion, TEMPLATE_SEED } from "../../../core/template-update.ts";
import { type EngineFolder, makeEngineFolder } from "../../support/engine-folder.ts";
import { withVariables } from "../../support/variables.ts";

/** Like TemplateSeed, without a repository. */
class Seed extends pulumi.ComponentResource {
  constructor(seeded: string, record?: object) {
    super(TEMPLATE_SEED, "shop", {});
    const version = pulumi.output(seeded).apply(seededVersion);
    this.registerOutputs({ seeded, ...(record && { record: { ...record, version } }) });
  }
}

describe("the record of a project's template, on the real engine", function () {
  this.timeout(120_000);
  let folder: EngineFolder;

  before(async () => {
    folder = await makeEngineFolder();
  });
  after(() => folder.remove());

  it("comes with the next up, and is no change of a stack of the version before", async () => {
    const version = "0123456789abcdef";
    const known = {
      template: "skeleton",
      repository: "rdev/shop",
      repositoryId: 7,
      values: { PROJECT_SLUG: "shop" },
    };
    const bringUp = (seeded: string, record?: object) =>
      withVariables(folder.variables, async () => {
        const program = () => {
          new Seed(seeded, record);
          return Promise.resolve({});
        };
        const { errors, changes, template } = await up("base", {
          workDir: folder.workDir,
          program,
        });
        assert.deepEqual(errors, []);
        return { changes, template };
      });
    const before = "Seeded 3 files from the template skeleton.";
    assert.equal((await bringUp(before)).template, undefined);
    const same = { ...NO_CHANGES, same: 2 };
    assert.deepEqual(await bringUp(before, known), { changes: same, template: known });
    const seeded = seededText(3, { template: "skeleton", version });
    const template = { ...known, version };
    assert.deepEqual(await bringUp(seeded, known), { changes: same, template });
  });
});
