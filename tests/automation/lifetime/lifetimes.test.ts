import assert from "node:assert/strict";
import { Lifetimes } from "../../../automation/lifetime/lifetimes.ts";
import { InfraError } from "../../../core/errors.ts";
import { notBegun } from "../../../core/operation.ts";
import { done, type FleetStage, fleetStage, PLATFORM } from "../../support/fleet-stage.ts";

const HOUR = 3_600_000;
const END = Date.parse("2026-12-24T18:00:00Z");
const at = (hours: number) => new Date(END + hours * HOUR).toISOString();

describe("projects with a time to live", function () {
  this.timeout(60_000);
  let stage: FleetStage;
  let hours: number;
  let lifetimes: Lifetimes;

  before(async () => void (stage = await fleetStage()));
  after(() => stage.close());
  beforeEach(async () => {
    await stage.empty();
    hours = -1_000;
    lifetimes = replica();
  });

  const replica = () =>
    new Lifetimes({
      store: stage.store,
      platform: PLATFORM,
      operations: stage.operations,
      audit: stage.audit,
      settings: async () => ({ noticeHours: 24, graceHours: 48 }),
      now: () => END + hours * HOUR,
    });
  /** Two replicas look at so many hours after the end. */
  const look = async (time: number) => {
    hours = time;
    await Promise.all([lifetimes, replica()].map((one) => stage.tick(one)));
  };
  const steps = async () => (await stage.events()).map(({ step, at: when }) => [step, when]);
  const kinds = async () => (await stage.requests()).map(({ kind, state }) => `${kind} ${state}`);
  const stopped = () =>
    stage.admin(`UPDATE projects SET settings = settings || '{"stopped": true}'`);
  /** Up to the deletion, which waits. */
  const untilDeletion = async () => {
    await stage.project("demo", { expiresAt: at(0) });
    await look(-24);
    await look(0);
    for (const attempt of await stage.take()) await attempt.end(done());
    await stopped();
    await look(48);
    assert.deepEqual(await kinds(), ["up succeeded", "destroy queued"]);
  };

  it("are announced, stopped and deleted once, by any replica", async () => {
    await stage.project("demo", { expiresAt: at(0) });
    await stage.project("endless", { expiresAt: "never" });
    await stage.project("plain");
    await look(-25);
    assert.deepEqual(await steps(), []);
    await look(-24);
    await look(-1);
    assert.deepEqual(await steps(), [["notice", at(0)]]);
    await look(0);
    await look(0.1);
    const [stop] = await stage.requests();
    assert.deepEqual(
      { ...stop },
      { kind: "up", settings: { stopped: true }, onFailure: "keep", slug: "demo", state: "queued" },
    );
    for (const attempt of await stage.take()) await attempt.end(done());
    await stopped();
    await look(47);
    assert.equal((await kinds()).length, 1);
    await look(48);
    await look(49);
    const [attempt] = await stage.take();
    assert.deepEqual(attempt?.row.request, { kind: "destroy", expired: at(0) });
    await attempt.end(done({ gone: true }));
    await look(100);
    assert.deepEqual(await steps(), [
      ["notice", at(0)],
      ["stopped", at(48)],
      ["deleting", at(48)],
    ]);
    assert.deepEqual(await kinds(), ["up succeeded", "destroy succeeded"]);
    const audited = await stage.admin(
      "SELECT action, actor FROM audit_log WHERE project_id = 'demo' ORDER BY id",
    );
    assert.deepEqual(
      audited.map(({ action }) => action),
      ["project.notice", "operation.submit", "operation.submit"],
    );
    assert.ok(audited.every(({ actor }) => actor === "rdev-infra:lifetime"));
  });

  it("get the whole grace after a service that was away", async () => {
    await stage.project("demo", { expiresAt: at(0), stopped: true });
    await look(500);
    await look(500);
    assert.deepEqual(await steps(), [
      ["notice", at(0)],
      ["stopped", at(548)],
    ]);
    await look(547);
    assert.deepEqual(await kinds(), []);
    await look(548);
    assert.deepEqual(await kinds(), ["destroy queued"]);
  });

  it("are stopped and deleted again after a failure, at growing distances", async () => {
    await stage.project("demo", { expiresAt: at(0) });
    const fail = async () => {
      const failure = notBegun(new InfraError("RDEV_UNREACHABLE", "no"));
      for (const attempt of await stage.take()) await attempt.end(done({ outcome: failure }));
    };
    await look(-1);
    await look(0);
    await fail();
    await look(0.05);
    assert.deepEqual(await kinds(), ["up failed"]);
    await look(0.1);
    await fail();
    await look(0.2);
    assert.deepEqual(await kinds(), ["up failed", "up failed"]);
    await look(48);
    assert.deepEqual((await kinds()).at(-1), "destroy queued");
    await fail();
    await look(48.01);
    assert.equal((await kinds()).length, 3);
    await look(48.1);
    assert.deepEqual((await kinds()).at(-1), "destroy queued");
    const deleting = (await steps()).filter(([step]) => step === "deleting");
    assert.equal(deleting.length, 1, "receivers are told once");
  });

  it("stay started if a person starts them in the grace", async () => {
    await stage.project("demo", { expiresAt: at(0) });
    await look(-1);
    await look(0);
    for (const attempt of await stage.take()) await attempt.end(done());
    await look(10);
    assert.deepEqual(await kinds(), ["up succeeded"]);
  });

  it("are not deleted if they were prolonged, and end anew at the new time", async () => {
    await stage.project("demo", { expiresAt: at(0) });
    await look(-24);
    await look(0);
    for (const attempt of await stage.take()) await attempt.end(done());
    await stage.admin(`UPDATE projects SET settings = '{"expiresAt": "${at(100)}"}'`);
    await look(60);
    assert.deepEqual(await kinds(), ["up succeeded"]);
    await look(76);
    assert.deepEqual((await steps()).at(-1), ["notice", at(100)]);
    await stage.admin(`UPDATE projects SET settings = '{"expiresAt": "never"}'`);
    await look(1_000);
    assert.deepEqual(await kinds(), ["up succeeded"]);
    assert.deepEqual(await stage.admin("SELECT * FROM lifetimes"), []);
  });

  it("are not deleted if an up that prolongs them waits behind the destroy", async () => {
    await untilDeletion();
    const settings = { expiresAt: at(500) };
    await stage.submit("demo", { kind: "up", settings, onFailure: "keep" });
    const [begun] = await stage.take();
    const next = begun ?? (await stage.take())[0];
    assert.equal(next?.row.kind, "up");
    const [, destroy] = await stage.admin("SELECT state, outcome FROM operations ORDER BY id");
    assert.equal(destroy?.["state"], "cancelled");
    assert.match(JSON.stringify(destroy["outcome"]), /was prolonged, so it is not deleted/);
  });

  it("are not deleted if the up that prolongs them has failed", async () => {
    await stage.project("demo", { expiresAt: at(0), stopped: true });
    await look(-1);
    await look(0);
    const settings = { expiresAt: "never" };
    await stage.submit("demo", { kind: "up", settings, onFailure: "keep" });
    const failure = notBegun(new InfraError("RDEV_UNREACHABLE", "no"));
    for (const attempt of await stage.take()) await attempt.end(done({ outcome: failure }));
    await look(100);
    assert.deepEqual(await kinds(), ["up failed"]);
  });

  it("are deleted if the prolonging up was taken back before it began", async () => {
    await untilDeletion();
    const settings = { expiresAt: "never" };
    const up = await stage.submit("demo", { kind: "up", settings, onFailure: "keep" });
    await stage.operations.cancel(up.id, "ada");
    const [attempt] = await stage.take();
    assert.equal(attempt?.row.kind, "destroy");
  });

  it("are stopped even if many that ended earlier are busy", async () => {
    const busy = Array.from({ length: 25 }, (_, index) => `busy-${index}`);
    for (const slug of busy) await stage.project(slug, { expiresAt: at(0) });
    await stage.project("idle", { expiresAt: at(1) });
    for (let tick = 0; tick < 2; tick += 1) await look(-1);
    assert.equal((await steps()).length, 26);
    for (const slug of busy) {
      await stage.submit(slug, { kind: "up", settings: {}, onFailure: "keep" });
    }
    await look(1);
    const ofIdle = (await stage.requests()).filter(({ slug }) => slug === "idle");
    assert.deepEqual(
      ofIdle.map(({ kind, state }) => `${kind} ${state}`),
      ["up queued"],
    );
  });
});
