import assert from "node:assert/strict";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { startSandbox } from "../../sandbox/sandbox.ts";

describe("the options of a sandbox", () => {
  it("include an ingress controller on a real node only", async () => {
    const platform = await sandboxPlatform();
    await assert.rejects(startSandbox({ ...platform, ingress: true }), {
      code: "RDEV_SANDBOX",
      message: /set realNode/,
    });
  });
});
