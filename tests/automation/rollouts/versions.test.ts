import assert from "node:assert/strict";
import { until } from "../../../sandbox/process.ts";
import { BOB, rolloutStages } from "../../support/rollout-stage.ts";

describe("a rollout of an older version", function () {
  this.timeout(60_000);
  const stage = rolloutStages();

  it("goes on while a replica of that version lives", async () => {
    await stage().addProjects("app");
    const old = stage().conduct();
    const { id } = await stage().start();
    const { plan = "" } = await stage().untilState(id, "planned");
    await old.stop();
    // It has waited for long.
    await stage().database.admin("UPDATE rollouts SET conducted_until = now() - interval '50 s'");
    stage().conduct();
    await until(async () => {
      const [row] = await stage().database.admin(
        "SELECT conducted_until > now() AS is_claimed FROM rollouts",
      );
      assert.equal(row?.["is_claimed"], true);
    });
    stage().conduct({ version: "2.0.0+newer" });
    await stage().rollouts().approve(id, { plan, dataLoss: false }, BOB);
    await stage().untilState(id, "succeeded");
  });

  it("goes on while its only replica is busy with the check of another", async () => {
    await stage().addProjects("app", "blog", "shop");
    const check = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<void>();
    stage().conduct({ check: () => (begun.resolve(), check.promise), renewMs: 20 });
    const { id: planned } = await stage().start({ select: { slugs: ["blog"] } });
    await stage().untilState(planned, "planned");
    const checked = await stage().approved({ select: { slugs: ["app"] } });
    await begun.promise;
    const fresh = await stage().start({ select: { slugs: ["shop"] } });
    await stage().database.admin(`UPDATE rollouts
      SET conducted_until = now() - interval '50 s', created_at = now() - interval '50 s'`);
    stage().conduct({ version: "2.0.0+newer" });
    await until(async () => {
      const rows = await stage().database.admin(
        "SELECT FROM rollouts WHERE conducted_until > now() - interval '10 s'",
      );
      assert.equal(rows.length, 3);
    });
    check.resolve(undefined);
    await stage().untilState(checked.id, "succeeded");
    await stage().untilState(fresh.id, "planned");
    await stage().untilState(planned, "planned");
  });

  it("is stopped while it waits for an approval, once no replica of that version lives", async () => {
    await stage().addProjects("app");
    const old = stage().conduct();
    const { id } = await stage().start();
    await stage().untilState(id, "planned");
    await old.stop();
    await stage().database.admin("UPDATE rollouts SET conducted_until = now() - interval '61 s'");
    const newer = stage().conduct({ version: "2.0.0+newer" });
    const { reason } = await stage().untilState(id, "stopped");
    assert.match(
      reason ?? "",
      /version 2\.0\.0\+newer now, and no replica has version 1\.0\.0\+new/,
    );
    const [told] = await stage().database.admin(
      "SELECT event FROM notifications WHERE event ->> 'kind' = 'rollout.ended'",
    );
    assert.equal((told?.["event"] as { reason?: string }).reason, reason);
    await newer.stop();
    stage().conduct();
    await stage().approved({});
  });

  it("can be cancelled", async () => {
    await stage().addProjects("app");
    const old = stage().conduct();
    const { id } = await stage().start();
    await stage().untilState(id, "planned");
    await old.stop();
    await stage().rollouts({ version: "2.0.0+newer" }).cancel(id, BOB);
    await stage().database.admin("UPDATE rollouts SET conducted_until = now() - interval '61 s'");
    stage().conduct({ version: "2.0.0+newer" });
    const ended = await stage().untilState(id, "cancelled");
    assert.equal(ended.reason, "cancelled by bob");
  });

  it("is stopped by the newer one, once nobody conducts it", async () => {
    await stage().addProjects("app", "blog");
    stage().behaviour.set("app", "hang");
    const old = stage().conduct();
    const { id } = await stage().approved({});
    await stage().untilProject(id, "app", "running");
    await old.stop();
    stage().conduct({ version: "2.0.0+newer" });
    stage().behaviour.delete("app");
    await until(async () => {
      const [row] = await stage().database.admin("SELECT state FROM operations WHERE kind = 'up'");
      assert.equal(row?.["state"], "succeeded");
    });
    assert.equal((await stage().states(id))["app"], "running", "its own version may come back");
    await stage().database.admin("UPDATE rollouts SET conducted_until = now() - interval '61 s'");
    const ended = await stage().untilState(id, "stopped");
    assert.match(ended.reason ?? "", /2\.0\.0\+newer/);
    assert.deepEqual(stage().begun, ["app"]);
  });
});
