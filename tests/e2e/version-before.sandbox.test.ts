import assert from "node:assert/strict";
import { ownerOfStack } from "../../automation/engine/state.ts";
import { projects, succeeded, unchanged } from "../support/stage.ts";
import { asVersionBefore } from "../support/version-before.ts";

describe("a project that the version before made", function () {
  this.timeout(300_000);
  const project = projects();

  it("is taken over by its next up, which loses nothing", async () => {
    const one = await project();
    succeeded(await one.up());
    await asVersionBefore(one);
    assert.equal((await ownerOfStack(one.stack, one.workDir)).platform, "");
    const { changes } = succeeded(await one.up());
    // The id of the stack is new; nothing else is made anew.
    assert.deepEqual([changes.create, changes.replace, changes.delete], [1, 0, 0]);
    unchanged(await one.up());
    unchanged(await one.refresh());
    assert.equal((await ownerOfStack(one.stack, one.workDir)).platform, "staging");
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });

  it("is destroyed without an up in between", async () => {
    const one = await project();
    succeeded(await one.up());
    await asVersionBefore(one);
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});
