import assert from "node:assert/strict";
import { databaseName } from "../../core/slug.ts";
import { madeByHand, type ByHand } from "../support/by-hand.ts";
import { type Project, projects, succeeded } from "../support/stage.ts";
import { withVariables } from "../support/with-variables.ts";

describe("objects of a project's slug that somebody else made", function () {
  this.timeout(400_000);
  const project = projects();

  it("are refused by name, stay untouched, and outlive the project's destroy", async () => {
    const one = await project();
    // Woodpecker comes after all of them.
    const { ci: _, ...strangers } = madeByHand(one);
    const { tenant, ...others } = strangers;
    const remaining: ByHand[] = Object.values(others);
    const everyone = [...remaining, tenant];
    for (const { make } of everyone) await make();
    try {
      const before = await Promise.all(everyone.map(({ look }) => look()));
      const refused = [
        `RDEV_NOT_OURS: The DNS record ${one.slug}.${one.place.domain}/A`,
        `RDEV_NOT_OURS: The Gitea repository ${one.place.organization}/${one.slug}`,
        `RDEV_NOT_OURS: The PostgreSQL database ${databaseName(one.slug)}`,
        `RDEV_NOT_OURS: The Redis user ${one.slug}`,
        `RDEV_NOT_OURS: The registry path ${one.slug}`,
      ];
      const environment = `RDEV_NOT_OURS: The Citadel environment ${await tenant.id()}`;
      assert.deepEqual(await refusals(one), [environment, ...refused]);
      assert.deepEqual(await Promise.all(everyone.map(({ look }) => look())), before);

      // The namespace carries the environment's id, so it is asked for after Citadel.
      await tenant.remove();
      const namespace = `RDEV_NOT_OURS: The Kubernetes namespace ${one.slug}`;
      assert.deepEqual(await refusals(one), [...refused, namespace].sort());
      succeeded(await one.destroy());
      const after = await Promise.all(remaining.map(({ look }) => look()));
      assert.deepEqual(after, before.slice(0, -1));
    } finally {
      for (const { remove } of remaining) await remove();
    }
  });
});

/** What an up is refused, sorted. */
async function refusals(one: Project): Promise<string[]> {
  const { result, errors } = await withVariables({ PULUMI_CONTINUE_ON_ERROR: "true" }, () =>
    one.up(),
  );
  assert.equal(result, "failed");
  return errors
    .map(({ code, message }) => `${code}: ${message.split(" exists already")[0]}`)
    .sort();
}
