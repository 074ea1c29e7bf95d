import assert from "node:assert/strict";
import { queryObjects } from "node:v8";
import { preview } from "../../../../automation/engine/stack.ts";
import { ProgramClients } from "../../../../automation/engine/quirks/open-clients.ts";
import { type EngineFolder, makeEngineFolder, Thing } from "../../../support/engine-folder.ts";
import { withVariables } from "../../../support/variables.ts";

const THINGS = 20;

/** A resource whose objects can be counted. */
class CountedThing extends Thing {}

/**
 * How many are still reachable. Collects garbage first. The SDK keeps those of the process's first and of its
 * last program.
 */
const reachable = () => queryObjects(CountedThing, { format: "count" });

describe("the quirk of open clients", function () {
  this.timeout(400_000);

  let folder: EngineFolder;

  before(async () => {
    folder = await makeEngineFolder();
    await previewThings();
  });

  after(() => folder.remove());

  async function previewThings(): Promise<void> {
    const { errors } = await withVariables(folder.variables, () =>
      preview("open-clients", {
        workDir: folder.workDir,
        create: true,
        transient: true,
        program: async () => {
          for (let number = 0; number < THINGS; number++) new CountedThing(`thing-${number}`);
          return {};
        },
      }),
    );
    assert.deepEqual(errors, []);
  }

  it("is avoided: resources of an ended operation do not stay in memory", async () => {
    await previewThings();
    await previewThings();
    assert.equal(reachable(), 2 * THINGS);
  });

  it("contract: without the workaround, they stay", async () => {
    const { collect } = ProgramClients.prototype;
    ProgramClients.prototype.collect = () => undefined;
    try {
      await previewThings();
      await previewThings();
      assert.equal(reachable(), 3 * THINGS);
    } finally {
      ProgramClients.prototype.collect = collect;
    }
  });
});
