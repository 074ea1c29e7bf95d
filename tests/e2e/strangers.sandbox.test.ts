import assert from "node:assert/strict";
import { databaseName } from "../../core/slug.ts";
import { madeByHand, type ByHand } from "../support/by-hand.ts";
import { projects, succeeded } from "../support/stage.ts";
import { withVariables } from "../support/with-variables.ts";

describe("objects of a project's slug that somebody else made", function () {
  this.timeout(120_000);
  const project = projects();

  it("are refused by name, stay untouched, and outlive the project's destroy", async () => {
    const one = await project();
    // Woodpecker comes after all of them.
    const { ci: _, ...strangers } = madeByHand(one);
    const all: ByHand[] = Object.values(strangers);
    for (const { make } of all) await make();
    try {
      const before = await Promise.all(all.map(({ look }) => look()));
      const { result, errors } = await withVariables({ PULUMI_CONTINUE_ON_ERROR: "true" }, () =>
        one.up(),
      );
      assert.equal(result, "failed");
      assert.deepEqual(
        errors.map(({ code, message }) => `${code}: ${message.split(" exists already")[0]}`).sort(),
        [
          `RDEV_NOT_OURS: The Citadel environment ${await strangers.tenant.id()}`,
          `RDEV_NOT_OURS: The DNS record ${one.slug}.${one.place.domain}/A`,
          `RDEV_NOT_OURS: The Gitea repository ${one.place.organization}/${one.slug}`,
          `RDEV_NOT_OURS: The Kubernetes namespace ${one.slug}`,
          `RDEV_NOT_OURS: The PostgreSQL database ${databaseName(one.slug)}`,
          `RDEV_NOT_OURS: The Redis user ${one.slug}`,
          `RDEV_NOT_OURS: The registry path ${one.slug}`,
        ],
      );
      succeeded(await one.destroy());
      assert.deepEqual(await Promise.all(all.map(({ look }) => look())), before);
    } finally {
      for (const { remove } of all) await remove();
    }
  });
});
