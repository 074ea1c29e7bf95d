import assert from "node:assert/strict";
import { databaseName } from "../../core/slug.ts";
import { madeByHand, type ByHand } from "../support/by-hand.ts";
import { type Project, projects, succeeded } from "../support/stage.ts";
import { withVariables } from "../support/variables.ts";

describe("foreign objects with a project's slug", function () {
  this.timeout(400_000);
  const project = projects();

  it("are named in the error, stay unchanged, and survive the project's destroy", async () => {
    const one = await project();
    // Without Woodpecker, whose repository is made after all of these.
    const { ci: _, ...foreign } = madeByHand(one);
    const { tenant, ...rest } = foreign;
    const remaining: ByHand[] = Object.values(rest);
    const all = [...remaining, tenant];
    for (const { make } of all) await make();
    try {
      const before = await Promise.all(all.map(({ look }) => look()));
      const refused = [
        `RDEV_NOT_OURS: The DNS record ${one.slug}.${one.place.domain}/A`,
        `RDEV_NOT_OURS: The Gitea repository ${one.place.organization}/${one.slug}`,
        `RDEV_NOT_OURS: The PostgreSQL database ${databaseName(one.slug)}`,
        `RDEV_NOT_OURS: The Redis user ${one.slug}`,
        `RDEV_NOT_OURS: The registry path ${one.slug}`,
      ];
      const environment = `RDEV_NOT_OURS: The Citadel environment ${await tenant.id()}`;
      assert.deepEqual(await refusals(one), [environment, ...refused]);
      assert.deepEqual(await Promise.all(all.map(({ look }) => look())), before);

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

/** The errors of an up, sorted. */
async function refusals(one: Project): Promise<string[]> {
  const { result, errors } = await withVariables({ PULUMI_CONTINUE_ON_ERROR: "true" }, () =>
    one.up(),
  );
  assert.equal(result, "failed");
  return errors
    .map(({ code, message }) => `${code}: ${message.split(" exists already")[0]}`)
    .sort();
}
