import assert from "node:assert/strict";
import { ownerOfStack } from "../../automation/engine/state.ts";
import { projects, succeeded, unchanged } from "../support/stage.ts";
import { asOlderVersion } from "../support/older-version.ts";

describe("a project of an older version", function () {
  this.timeout(300_000);
  const project = projects();

  it("is upgraded by its next up without a loss", async () => {
    const one = await project();
    succeeded(await one.up());
    await asOlderVersion(one);
    assert.equal((await ownerOfStack(one.stack, one.workDir)).platform, "");
    const { changes } = succeeded(await one.up());
    // Only the stack's id is new.
    assert.deepEqual([changes.create, changes.replace, changes.delete], [1, 0, 0]);
    unchanged(await one.up());
    unchanged(await one.refresh());
    assert.equal((await ownerOfStack(one.stack, one.workDir)).platform, "staging");
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });

  it("can be destroyed without an up before", async () => {
    const one = await project();
    succeeded(await one.up());
    await asOlderVersion(one);
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});
