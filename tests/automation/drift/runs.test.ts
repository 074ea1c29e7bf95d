import assert from "node:assert/strict";
import { Registry } from "prom-client";
import { registerDriftMetrics } from "../../../automation/drift/metrics.ts";
import { DriftRuns } from "../../../automation/drift/runs.ts";
import { DriftRecords } from "../../../automation/drift/table.ts";
import type { Operations } from "../../../automation/operations/operations.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { driftSettings, type FixPolicy } from "../../../core/drift.ts";
import { InfraError } from "../../../core/errors.ts";
import { notBegun } from "../../../core/operation.ts";
import { changedShop, NOTHING } from "../../support/drift-finding.ts";
import { done, type FleetStage, fleetStage, PLATFORM } from "../../support/fleet-stage.ts";

const found = (fixableBy: FixPolicy = "nothing") =>
  changedShop(fixableBy, [{ manager: "kubectl-edit" }]);
const FAILED = { outcome: notBegun(new InfraError("RDEV_UNREACHABLE", "Redis does not answer.")) };

describe("looks at all projects", function () {
  this.timeout(60_000);
  let stage: FleetStage;
  let now: Date;
  let settings: object;
  let runs: DriftRuns;

  before(async () => void (stage = await fleetStage()));
  after(() => stage.close());
  beforeEach(async () => {
    await stage.empty();
    now = new Date("2026-11-27T12:00:00Z");
    settings = { schedule: "0 2 * * *", atOnce: 2 };
    runs = replica();
  });

  const replica = (operations: Pick<Operations, "submit"> = stage.operations) =>
    new DriftRuns({
      store: stage.store,
      platform: PLATFORM,
      operations,
      settings: async () => driftSettings.parse(settings),
      now: () => now,
    });
  const look = () => stage.tick(runs);
  const night = async () => {
    now = new Date("2026-11-28T02:00:30Z");
    await look();
  };
  const three = async () => {
    for (const slug of ["a-app", "b-app", "c-app"]) await stage.project(slug);
  };
  const open = async () =>
    (await stage.requests())
      .filter(({ state }) => state === "queued" || state === "running")
      .map(({ slug }) => slug);
  const states = async () => {
    const all = await new DriftRecords(stage.store).list({ platform: PLATFORM, limit: 10 });
    return Object.fromEntries(all.map(({ slug, state }) => [slug, state]));
  };
  /** Plays the runner until the run has ended, with these results. */
  const finish = async (results: Record<string, Parameters<typeof done>[0]> = {}) => {
    for (;;) {
      const attempts = await stage.take();
      if (attempts.length === 0) return;
      for (const attempt of attempts) {
        await attempt.end(done({ drift: NOTHING, ...results[attempt.row.slug] }));
      }
      await look();
    }
  };

  it("begin when the schedule says so, a few at once, and name everything in one notification", async () => {
    await three();
    await stage.admin(
      "INSERT INTO projects (slug, platform, name) VALUES ('new', 'staging', 'new')",
    );
    await look();
    assert.deepEqual(await stage.requests(), []);
    await night();
    await look();
    assert.deepEqual(await open(), ["a-app", "b-app"]);
    await finish({ "a-app": { drift: found() }, "b-app": FAILED });
    assert.deepEqual(await states(), {
      "a-app": "drifted",
      "b-app": "failed",
      "c-app": "clean",
      new: "unchecked",
    });
    const [event, ...others] = await stage.events();
    assert.deepEqual(others, []);
    const { differing, failed, ...rest } = event as { differing: object[]; failed: object[] };
    assert.deepEqual(rest, { kind: "drift.found", checked: 3 });
    assert.deepEqual(differing.length, 1);
    assert.deepEqual(failed, [
      { slug: "b-app", message: "Nothing was done. Redis does not answer." },
    ]);
    await look();
    now = new Date("2026-11-28T23:00:00Z");
    await look();
    const [run, ...more] = await new DriftRecords(stage.store).runs(PLATFORM, 10);
    assert.deepEqual(more, []);
    assert.deepEqual(
      [run?.reason, run?.total, run?.done, run?.drifted, run?.failed, run?.endedAt !== undefined],
      ["schedule", 3, 3, 1, 1, true],
    );
  });

  it("tell nobody if nothing differs", async () => {
    await three();
    await night();
    await finish();
    assert.deepEqual(await stage.events(), []);
    assert.deepEqual(new Set(Object.values(await states())), new Set(["clean"]));
  });

  it("go on where they were after a restart, with whichever replica", async () => {
    await three();
    await night();
    const [first] = await stage.take(1);
    await first?.end(done({ drift: NOTHING }));
    runs = replica();
    await finish();
    const looked = (await stage.requests()).map(({ slug }) => slug);
    assert.deepEqual(looked, ["a-app", "b-app", "c-app"]);
    const [run] = await new DriftRecords(stage.store).runs(PLATFORM, 10);
    assert.ok(run?.endedAt);
  });

  it("keep the drift that was known beside an error, and since when each is known", async () => {
    await stage.project("a-app");
    await night();
    await finish({ "a-app": { drift: found() } });
    const records = new DriftRecords(stage.store);
    const before = await records.find("a-app");
    await runs.start("ada");
    await look();
    await finish({ "a-app": FAILED });
    const failed = await records.find("a-app");
    assert.equal(failed?.state, "failed");
    assert.deepEqual(failed.changes, before?.changes);
    assert.equal(failed.since, before?.since);
    assert.equal(failed.error?.code, "RDEV_UNREACHABLE");
    await runs.start("ada");
    await look();
    await finish({ "a-app": { drift: found() } });
    const after = await records.find("a-app");
    assert.deepEqual(
      [after?.state, after?.error, after?.since],
      ["drifted", undefined, before?.since],
    );
    assert.deepEqual(after?.changes[0]?.by, [{ manager: "kubectl-edit" }]);
  });

  it("give way to people: a waiting or running look is cancelled and done later", async () => {
    await three();
    await night();
    const [running] = await stage.take(1);
    assert.equal(running?.row.slug, "a-app");
    for (const slug of ["a-app", "b-app"]) await stage.submit(slug, { kind: "refresh" });
    const after = (await stage.requests()).map(
      ({ kind, slug, state }) => `${kind} ${slug} ${state}`,
    );
    assert.deepEqual(after, [
      "preview a-app cancelling",
      "preview b-app cancelled",
      "refresh a-app queued",
      "refresh b-app queued",
    ]);
    await running.end(done({ outcome: { ...done().outcome, result: "cancelled" } }));
    await look();
    assert.deepEqual((await open()).sort(), ["a-app", "b-app", "c-app"]);
    // The look at c-app waits behind both refreshes, although it would have been next.
    const order = [];
    for (let n = 0; n < 3; n += 1) {
      for (const attempt of await stage.take(1)) {
        order.push(`${attempt.row.kind} ${attempt.row.slug}`);
        await attempt.end(done({ drift: NOTHING }));
      }
    }
    assert.deepEqual(order, ["refresh a-app", "refresh b-app", "preview c-app"]);
    await look();
    await finish();
    assert.deepEqual(new Set(Object.values(await states())), new Set(["clean"]));
  });

  it("refuse nobody, and are in no list of operations", async () => {
    await stage.project("a-app");
    await night();
    const refusing = {
      platform: PLATFORM,
      slug: "a-app",
      request: { kind: "refresh" },
      actor: "ada",
      ifBusy: "refuse",
    } as const;
    const { operation } = await stage.operations.submit(refusing);
    const listed = await stage.operations.list({ limit: 10 });
    assert.deepEqual(
      listed.map(({ id }) => id),
      [operation.id],
    );
    const record = await new ProjectRecords(stage.store).find("a-app");
    assert.equal(record?.lastOperation?.id, operation.id);
    await assert.rejects(stage.operations.submit(refusing), { code: "RDEV_BUSY" });
  });

  it("end when the next one is due, which begins with what was not reached", async () => {
    await three();
    settings = { ...settings, atOnce: 1 };
    await night();
    for (const attempt of await stage.take()) await attempt.end(done({ drift: NOTHING }));
    now = new Date("2026-11-29T02:00:30Z");
    await look();
    assert.deepEqual(await open(), ["b-app"]);
    const all = await new DriftRecords(stage.store).runs(PLATFORM, 10);
    assert.deepEqual(
      all.map(({ endedAt }) => endedAt === undefined),
      [true, false],
    );
  });

  it("end although a project is deleted on the way", async () => {
    await three();
    await night();
    const attempts = await stage.take();
    await stage.admin("DELETE FROM projects WHERE slug IN ('a-app', 'c-app')");
    for (const attempt of attempts) await attempt.end(done({ drift: found() }));
    await look();
    const [run] = await new DriftRecords(stage.store).runs(PLATFORM, 10);
    assert.deepEqual([run?.done, run?.total, run?.endedAt !== undefined], [1, 1, true]);
  });

  it("are begun by a person one at a time", async () => {
    settings = {};
    await three();
    const run = await runs.start("ada");
    assert.deepEqual([run.reason, run.actor, run.total, run.done], ["request", "ada", 3, 0]);
    await assert.rejects(runs.start("bob"), { code: "RDEV_BUSY" });
    await look();
    await finish();
    assert.equal((await runs.start("bob")).done, 0);
  });

  it("lead to one fix for each look, only of what the policy permits, after the notification", async () => {
    settings = { ...settings, fix: "updates" };
    await three();
    await night();
    const drifted = {
      "a-app": { drift: found("updates") },
      "b-app": { drift: found("repairs") },
      "c-app": { drift: found("nothing") },
    };
    for (const attempt of await stage.take()) await attempt.end(done(drifted["a-app"]));
    await look();
    assert.ok((await stage.requests()).every(({ kind }) => kind === "preview"));
    const fixes = async () => (await stage.requests()).filter(({ kind }) => kind === "up");
    for (const attempt of await stage.take()) await attempt.end(done(drifted["c-app"]));
    await look();
    assert.equal((await stage.events()).length, 1);
    await look();
    await look();
    assert.deepEqual(await fixes(), [
      ...["a-app", "b-app"].map((slug) => ({
        kind: "up",
        settings: {},
        onFailure: "keep",
        fix: "updates",
        slug,
        state: "queued",
      })),
    ]);
    const [first, second] = await stage.take();
    await first?.end(done());
    await second?.end(done({ outcome: notBegun(new InfraError("RDEV_DRIFT", "more")) }));
    await look();
    assert.equal(
      (await fixes()).length,
      2,
      "a fix that failed is not repeated until the next look",
    );
    assert.deepEqual(await states(), { "a-app": "clean", "b-app": "drifted", "c-app": "drifted" });
  });

  it("fix a project although others that drifted before are busy", async () => {
    await three();
    await night();
    await finish(
      Object.fromEntries(
        ["a-app", "b-app", "c-app"].map((slug) => [slug, { drift: found("updates") }]),
      ),
    );
    for (const slug of ["a-app", "b-app"]) {
      await stage.submit(slug, { kind: "up", settings: {}, onFailure: "keep" });
    }
    settings = { ...settings, fix: "updates" };
    await look();
    assert.deepEqual(await open(), ["a-app", "b-app", "c-app"]);
  });

  it("fix no project that was deleted meanwhile, because an up would create it again", async () => {
    await stage.project("a-app");
    await night();
    for (const attempt of await stage.take()) await attempt.end(done({ drift: found("updates") }));
    await look();
    settings = { ...settings, fix: "updates" };
    const late = replica({
      submit: async (submission) => {
        await stage.admin("DELETE FROM projects");
        return stage.operations.submit(submission);
      },
    });
    await stage.tick(late);
    assert.deepEqual(await open(), []);
    assert.deepEqual(await stage.admin("SELECT slug FROM projects"), []);
  });

  it("are measured", async () => {
    await three();
    const registry = new Registry();
    registerDriftMetrics(registry, stage.store);
    assert.match(await registry.metrics(), /rdev_drift_run_ended_timestamp_seconds Nan/i);
    await night();
    await finish({ "a-app": { drift: found() }, "b-app": FAILED });
    const text = await registry.metrics();
    for (const [state, count] of [
      ["drifted", 1],
      ["failed", 1],
      ["clean", 1],
      ["unchecked", 0],
    ] as const) {
      assert.ok(text.includes(`rdev_drift_projects{state="${state}"} ${count}`), text);
    }
    assert.match(text, /rdev_drift_run_ended_timestamp_seconds \d{10}/);
  });
});
