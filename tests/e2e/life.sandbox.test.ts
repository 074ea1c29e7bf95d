import assert from "node:assert/strict";
import { proveAll } from "../support/proofs.ts";
import { projects, succeeded, unchanged } from "../support/stage.ts";

describe("two projects side by side", function () {
  this.timeout(400_000);
  const project = projects();

  it("come up, are isolated from each other, stay unchanged, and leave nothing behind", async () => {
    const [first, second] = await Promise.all([project(), project()]);
    await Promise.all([first, second].map(async ({ up }) => succeeded(await up())));
    await proveAll(first.stage(), second.slug);
    await proveAll(second.stage(), first.slug);

    unchanged(await first.up());
    unchanged(await first.preview());
    unchanged(await first.refresh());

    succeeded(await first.destroy());
    assert.deepEqual(await first.onServers(), []);
    unchanged(await second.refresh()); // the other project's destroy changed nothing
    succeeded(await second.destroy());
    assert.deepEqual(await second.onServers(), []);
  });
});
