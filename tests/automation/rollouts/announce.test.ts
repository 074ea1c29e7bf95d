import assert from "node:assert/strict";
import { ADA, BOB, rolloutStages } from "../../support/rollout-stage.ts";

describe("receivers hear of a rollout", function () {
  this.timeout(60_000);
  const stage = rolloutStages();

  const announced = async () => {
    const rows = await stage().database.admin(
      "SELECT event FROM notifications WHERE subject LIKE 'rollouts/%' ORDER BY id",
    );
    return rows.map(({ event }) => event as Record<string, unknown>);
  };

  it("when it waits for an approval, and when it has ended, with all that failed or was held", async () => {
    await stage().addProjects("app", "blog", "shop");
    stage().behaviour.set("app", "fail");
    stage().behaviour.set("blog", "drift");
    stage().conduct();
    const { id: rollout } = await stage().start({ waves: ["rest"], maxFailures: 2 });
    const { plan = "" } = await stage().untilState(rollout, "planned");
    const waiting = { kind: "rollout.waiting", rollout, reason: "its plan needs an approval" };
    assert.deepEqual(await announced(), [waiting]);
    await stage().rollouts().approve(rollout, { plan, dataLoss: false }, BOB);
    await stage().untilState(rollout, "incomplete");
    assert.deepEqual(await announced(), [
      waiting,
      {
        kind: "rollout.ended",
        rollout,
        result: "incomplete",
        succeeded: 1,
        failed: [{ slug: "app", message: "it broke" }],
        held: [{ slug: "blog", message: "Nothing was done. Another plan." }],
      },
    ]);
  });

  it("when it is paused, and when it was cancelled", async () => {
    await stage().addProjects("app", "blog");
    stage().behaviour.set("app", "drift");
    stage().conduct();
    const { id } = await stage().approved();
    await stage().untilState(id, "paused");
    await stage().rollouts().cancel(id, ADA);
    await stage().untilState(id, "cancelled");
    const [, paused, ended, ...more] = await announced();
    assert.equal(paused?.["reason"], "all projects of wave 1 were held back");
    assert.deepEqual([ended?.["kind"], ended?.["result"]], ["rollout.ended", "cancelled"]);
    assert.deepEqual(more, []);
  });
});
