import assert from "node:assert/strict";
import { Registry } from "prom-client";
import type { Operations } from "../../../automation/operations/operations.ts";
import { registerRolloutMetrics } from "../../../automation/rollouts/metrics.ts";
import { until } from "../../../sandbox/process.ts";
import { InfraError } from "../../../core/errors.ts";
import { rolloutRequest } from "../../../core/rollout.ts";
import { rejected } from "../../support/errors.ts";
import { ADA, BOB, rolloutStages, VERSION } from "../../support/rollout-stage.ts";

describe("a rollout", function () {
  this.timeout(60_000);
  const stage = rolloutStages();

  const submittingBy = (submit: Operations["submit"]) => ({
    submit,
    find: stage().operations.find.bind(stage().operations),
    cancel: stage().operations.cancel.bind(stage().operations),
  });

  it("plans, waits for an approval, and brings up wave after wave", async () => {
    await stage().addProjects("app", "blog", "shop", "wiki");
    stage().conduct();
    const { id } = await stage().start({ canaries: ["shop"], waves: ["1", "2"], atOnce: 2 });
    const planned = await stage().untilState(id, "planned");
    assert.deepEqual(stage().begun, [], "nothing is done before the approval");
    const plan = await stage().rollouts().report(planned);
    assert.deepEqual([plan.of, plan.verdict], ["plan", "changed"]);
    assert.deepEqual(
      plan.changed.map(({ stacks }) => stacks.length),
      [4],
    );
    await stage().rollouts().approve(id, { plan: planned.plan!, dataLoss: false }, BOB);
    const ended = await stage().untilState(id, "succeeded");
    assert.deepEqual(stage().begun.slice(0, 1), ["shop"]);
    assert.deepEqual(stage().begun.slice(1, 3).toSorted(), ["app", "blog"]);
    assert.deepEqual(stage().begun.slice(3), ["wiki"]);
    assert.ok(stage().most <= 2, `${stage().most} at once`);
    assert.equal(ended.approval?.by, "bob");
    assert.deepEqual(await stage().audited(), [
      "rollout.start by ada",
      "rollout.approve by bob",
      "rollout.wave by rdev-infra:rollout",
      "rollout.wave by rdev-infra:rollout",
      "rollout.end by rdev-infra:rollout",
    ]);
    const events = [];
    for await (const { number, event } of stage()
      .rollouts()
      .follow(id, 0, AbortSignal.timeout(9e3))) {
      assert.equal(number, events.push(event));
    }
    assert.deepEqual(events.at(-1), { event: "rollout", state: "succeeded" });
    const operations = await stage().operations.list({ limit: 100 });
    assert.equal(operations.length, 8, "one preview and one up of each project");
    assert.ok(operations.every(({ actor }) => actor === "ada"));
  });

  it("stops within the wave when a canary fails", async () => {
    await stage().addProjects("app", "blog", "shop");
    stage().behaviour.set("app", "fail");
    stage().conduct();
    const { id } = await stage().approved({});
    const ended = await stage().untilState(id, "stopped");
    assert.equal(ended.reason, "1 project failed");
    assert.deepEqual(stage().begun, ["app"]);
    assert.deepEqual(await stage().states(id), {
      app: "failed:failed",
      blog: "skipped:not-begun",
      shop: "skipped:not-begun",
    });
    const report = await stage().rollouts().report(ended);
    assert.deepEqual([report.of, report.failed[0]?.errors], ["result", [{ message: "it broke" }]]);

    stage().behaviour.clear();
    const second = await stage().approved({});
    await stage().untilState(second.id, "succeeded");
  });

  it("stops when a canary is not ready after its up", async () => {
    await stage().addProjects("app", "blog");
    stage().unready.add("app");
    stage().conduct();
    const { id } = await stage().approved({});
    await stage().untilState(id, "stopped");
    assert.deepEqual(await stage().states(id), {
      app: "failed:not-ready",
      blog: "skipped:not-begun",
    });

    // Its `up` succeeded, so it is no longer outdated. docs/fleet.md says how it is a canary again.
    await stage().database.admin(
      `UPDATE projects SET program_version = '${VERSION}' WHERE slug = 'app'`,
    );
    stage().unready.clear();
    await rejected(stage().start({ canaries: ["app"] }), /canaries are not among the selected/);
    const again = { select: { only: "all" }, canaries: ["app"], waves: ["1", "rest"] };
    const second = await stage().approved(again);
    await stage().untilState(second.id, "succeeded");
    assert.deepEqual(stage().begun, ["app", "app", "blog"]);
    const conducted = "by rdev-infra:rollout";
    assert.deepEqual(await stage().audited(), [
      ...["rollout.start by ada", "rollout.approve by bob"],
      `rollout.end ${conducted}`,
      ...["rollout.start by ada", "rollout.approve by bob"],
      ...[`rollout.wave ${conducted}`, `rollout.end ${conducted}`],
    ]);
  });

  it("cancels the operation of a canary that hangs, and counts it as failed", async () => {
    await stage().addProjects("app", "blog");
    stage().behaviour.set("app", "hang");
    stage().conduct();
    const { id } = await stage().approved({ deadlineMinutes: 1 });
    await until(() => assert.deepEqual(stage().begun, ["app"]));
    await stage().untilProject(id, "app", "running");
    await stage().database.admin(
      "UPDATE operations SET started_at = now() - interval '61 s' WHERE state = 'running'",
    );
    await stage().untilState(id, "stopped");
    assert.equal((await stage().states(id))["app"], "failed:too-slow");
  });

  it("holds back a project whose plan is another one at its turn, and goes on", async () => {
    await stage().addProjects("app", "blog", "shop");
    stage().behaviour.set("blog", "drift");
    stage().conduct();
    const { id } = await stage().approved({ waves: ["rest"] });
    const ended = await stage().untilState(id, "incomplete");
    assert.deepEqual(await stage().states(id), {
      app: "succeeded",
      blog: "held:plan-differs",
      shop: "succeeded",
    });
    const { failed } = await stage().rollouts().report(ended);
    assert.deepEqual([failed[0]?.stacks, failed[0]?.changes.length], [["staging.blog"], 1]);
    assert.ok((await stage().audited()).includes("rollout.hold by rdev-infra:rollout"));
  });

  it("pauses if all of a wave is held back, until a person resumes it", async () => {
    await stage().addProjects("app", "blog");
    stage().behaviour.set("app", "drift");
    stage().conduct();
    const { id } = await stage().approved({});
    const paused = await stage().untilState(id, "paused");
    assert.match(paused.reason ?? "", /wave 1 were held back/);
    await stage().rollouts().resume(id, BOB);
    await stage().untilState(id, "incomplete");
    assert.equal((await stage().states(id))["blog"], "succeeded");
  });

  it("does what loses data only if that was approved as well", async () => {
    await stage().addProjects("app", "blog");
    stage().behaviour.set("blog", "lose-data");
    stage().conduct();
    const first = await stage().approved({ waves: ["rest"] });
    await stage().untilState(first.id, "incomplete");
    assert.deepEqual(stage().begun, ["app"]);
    assert.equal((await stage().states(first.id))["blog"], "held:data-loss");
    const { failed, severe } = await stage().rollouts().report(first);
    assert.deepEqual([failed.map(({ stacks }) => stacks), severe], [[["staging.blog"]], []]);
    const second = await stage().approved({ select: { slugs: ["blog"] } }, true);
    await stage().untilState(second.id, "succeeded");
  });

  it("never does a plan that was not shown, and lets nobody approve twice", async () => {
    await stage().addProjects("app");
    stage().conduct();
    const { id } = await stage().start();
    const early = stage().rollouts().approve(id, { plan: "x", dataLoss: false }, BOB);
    assert.match((await rejected(early, /./)).name, /RDEV_ROLLOUT|RDEV_PLAN/);
    const { plan = "" } = await stage().untilState(id, "planned");
    const approve = (which: string, options = {}, who = BOB) =>
      stage().rollouts(options).approve(id, { plan: which, dataLoss: false }, who);
    assert.equal((await rejected(approve("another"), /./)).name, "RDEV_PLAN");
    assert.equal(
      (await rejected(approve(plan, { ownApproval: false }, ADA), /./)).name,
      "RDEV_ROLE",
    );
    const sameKey = { id: ADA.id, actor: "renamed" };
    assert.equal(
      (await rejected(approve(plan, { ownApproval: false }, sameKey), /./)).name,
      "RDEV_ROLE",
    );
    assert.equal((await rejected(approve(plan, { version: "2" }), /./)).name, "RDEV_ROLLOUT");
    await approve(plan, { ownApproval: false });
    assert.equal((await rejected(approve(plan), /./)).name, "RDEV_ROLLOUT");
    await stage().untilState(id, "succeeded");
  });

  it("refuses projects that another rollout has, and names them", async () => {
    await stage().addProjects("app", "blog");
    const [one, other] = await Promise.allSettled([stage().start(), stage().start()]);
    const failed = [one, other].filter(({ status }) => status === "rejected");
    assert.equal(failed.length, 1);
    const { name, message } = (failed[0] as PromiseRejectedResult).reason as Error;
    assert.equal(name, "RDEV_BUSY");
    assert.match(message, /"app" is in rollout .*\n.*"blog"/s);
  });

  it("refuses an empty selection, unknown canaries and a rollback", async () => {
    await stage().addProjects("app");
    const code = async (request: object) => (await rejected(stage().start(request), /./)).name;
    assert.equal(await code({ select: { slugs: ["nothing-*"] } }), "RDEV_ROLLOUT");
    assert.equal(await code({ canaries: ["nobody"] }), "RDEV_ROLLOUT");
    assert.equal(await code({ onFailure: "rollback" }), "RDEV_ROLLOUT");
    const bad = rolloutRequest.safeParse({ waves: ["0", "101%"], canaries: ["A"], atOnce: 0 });
    assert.equal(bad.error?.issues.length, 4, "all problems at once");
  });

  it("refuses patterns that match no project, and names all of them", async () => {
    await stage().addProjects("app", "blog");
    await stage().database.admin(
      `UPDATE projects SET program_version = '${VERSION}' WHERE slug = 'blog'`,
    );
    const { name, message } = await rejected(
      stage().start({ select: { slugs: ["app", "ap-*", "blgo"] } }),
      /./,
    );
    assert.equal(name, "RDEV_ROLLOUT");
    assert.deepEqual(message.match(/"[^"]*"/g), ['"ap-*"', '"blgo"']);
    const { id } = await stage().start({ select: { slugs: ["app", "b*"] } });
    assert.deepEqual(await stage().states(id), { app: "waiting" }, "one may be at this version");
  });

  it("skips a project that is deleted before or during its turn, and never creates it again", async () => {
    await stage().addProjects("app", "blog", "shop");
    stage().behaviour.set("app", "deleted");
    stage().conduct();
    const { id } = await stage().start({ waves: ["1", "rest"], maxFailures: 3 });
    const { plan = "" } = await stage().untilState(id, "planned");
    await stage().database.admin("DELETE FROM projects WHERE slug = 'shop'");
    await stage().rollouts().approve(id, { plan, dataLoss: false }, BOB);
    await stage().untilState(id, "succeeded");
    assert.deepEqual(await stage().states(id), {
      app: "skipped:deleted",
      blog: "succeeded",
      shop: "skipped:deleted",
    });
    assert.deepEqual(await stage().database.admin("SELECT slug FROM projects"), [{ slug: "blog" }]);
    const approved = { rollout: id, version: "1", fingerprint: plan, dataLoss: false };
    const request = { kind: "up", settings: {}, onFailure: "keep", approved } as const;
    const late = {
      platform: "staging",
      slug: "shop",
      request,
      actor: "ada",
      ifBusy: "wait",
    } as const;
    assert.equal((await rejected(stage().operations.submit(late), /./)).name, "RDEV_NOT_FOUND");
    assert.deepEqual(await stage().database.admin("SELECT slug FROM projects"), [{ slug: "blog" }]);
  });

  it("pauses and goes on, and ends its operations when it is cancelled", async () => {
    await stage().addProjects("app", "blog", "shop");
    for (const slug of ["app", "blog"]) stage().behaviour.set(slug, "hang");
    stage().conduct();
    const { id } = await stage().approved({ waves: ["rest"], atOnce: 2 });
    await stage().untilProject(id, "blog", "running");
    await stage().rollouts().pause(id, ADA);
    stage().behaviour.delete("app");
    await stage().untilProject(id, "app", "succeeded");
    assert.equal((await stage().states(id))["shop"], "planned", "nothing new begins");
    await stage().rollouts().resume(id, ADA);
    await stage().untilProject(id, "shop", "succeeded");
    await stage().rollouts().cancel(id, ADA);
    const ended = await stage().untilState(id, "cancelled");
    assert.equal((await stage().states(id))["blog"], "failed:cancelled");
    assert.deepEqual(await stage().rollouts().cancel(id, ADA), ended, "it stays as it is");
    const [cancelled] = await stage().database.admin(
      "SELECT actor FROM audit_log WHERE action = 'operation.cancel'",
    );
    assert.equal(cancelled?.["actor"], "rdev-infra:rollout");
  });

  it("ends an operation, too, that was submitted just before the cancel", async () => {
    await stage().addProjects("app", "blog");
    stage().behaviour.set("app", "hang");
    const submit: Operations["submit"] = async (submission) => {
      const submitted = await stage().operations.submit(submission);
      const { request } = submission;
      if (request.kind === "up") await stage().rollouts().cancel(request.approved!.rollout, BOB);
      return submitted;
    };
    stage().conduct({ operations: submittingBy(submit) });
    const { id } = await stage().approved({});
    await stage().untilState(id, "cancelled");
    assert.equal((await stage().states(id))["app"], "failed:cancelled");
    const open = "SELECT slug FROM operations WHERE ended_at IS NULL";
    assert.deepEqual(await stage().database.admin(open), []);
  });

  it("is continued by another replica when its conductor is killed, and submits nothing twice", async () => {
    await stage().addProjects("app", "blog", "shop", "wiki");
    stage().behaviour.set("blog", "hang");
    const first = stage().conduct();
    const { id } = await stage().approved({ waves: ["1", "rest"], atOnce: 2 });
    await stage().untilProject(id, "blog", "running");
    await first.stop();
    // A killed conductor leaves its lease, and the last submission unrecorded.
    await stage().database.admin(`
      UPDATE rollouts SET conductor = gen_random_uuid(), conducted_until = now() + interval '1 s'`);
    await stage().database.admin(`
      UPDATE rollout_projects SET state = 'planned', operation = NULL WHERE slug = 'blog'`);
    stage().behaviour.delete("blog");
    for (let replicas = 0; replicas < 3; replicas += 1) stage().conduct();
    await stage().untilState(id, "succeeded");
    assert.deepEqual(stage().begun.toSorted(), ["app", "blog", "shop", "wiki"]);
  });

  it("stays with its conductor while a check takes long", async () => {
    await stage().addProjects("app");
    let begun = 0;
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const check = async () => {
      begun += 1;
      await finished;
      return undefined;
    };
    stage().conduct({ check, renewMs: 20 });
    const { id } = await stage().approved({});
    await until(() => assert.equal(begun, 1));
    await stage().database.admin("UPDATE rollouts SET conducted_until = now() + interval '2 s'");
    await until(async () => {
      const [row] = await stage().database.admin(
        "SELECT conducted_until > now() + interval '10 s' AS is_renewed FROM rollouts",
      );
      assert.equal(row?.["is_renewed"], true);
    });
    finish();
    await stage().untilState(id, "succeeded");
    assert.equal(begun, 1);
  });

  it("goes on without a project that cannot be submitted, once that was tried for long enough", async () => {
    await stage().addProjects("app", "blog", "shop");
    let tries = 0;
    const submit: Operations["submit"] = async (submission) => {
      const { slug, request } = submission;
      const isRefused = slug === "app" ? request.kind === "up" : slug === "shop";
      if (!isRefused) return stage().operations.submit(submission);
      tries += 1;
      throw new InfraError("RDEV_INTERNAL", `no place for ${slug}`);
    };
    stage().conduct({ operations: submittingBy(submit), submitGrace: 0 });
    const { id } = await stage().approved({ waves: ["rest"], maxFailures: 2, atOnce: 1 });
    await stage().untilState(id, "incomplete");
    assert.equal(tries, 4, "each is tried again once");
    assert.deepEqual(await stage().states(id), {
      app: "failed:failed",
      blog: "succeeded",
      shop: "held:plan-failed",
    });
    const projects = await stage().rollouts().projects(id);
    assert.equal(projects.find(({ slug }) => slug === "app")?.reason?.message, "no place for app");
  });

  it("is counted by its state", async () => {
    await stage().addProjects("app", "blog");
    await stage().start({ select: { slugs: ["app"] } });
    const { id } = await stage().start({ select: { slugs: ["blog"] } });
    await stage().rollouts().cancel(id, BOB);
    const registry = new Registry();
    registerRolloutMetrics(registry, stage().store);
    const text = await registry.metrics();
    for (const line of ['"planning"} 1', '"cancelling"} 1', '"stopped"} 0']) {
      assert.ok(text.includes(`rdev_rollouts{state=${line}\n`), text);
    }
  });

  it("goes on after the database was away", async () => {
    await stage().addProjects("app", "blog", "shop");
    stage().behaviour.set("app", "hang");
    stage().conduct();
    const { id } = await stage().approved({});
    await stage().untilProject(id, "app", "running");
    const { serviceRole, admin } = stage().database;
    await admin(`ALTER ROLE ${serviceRole} NOLOGIN`);
    await admin(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${serviceRole}'`,
    );
    await rejected(stage().rollouts().find(id), /./);
    stage().behaviour.delete("app");
    await admin(`ALTER ROLE ${serviceRole} LOGIN`);
    await stage().untilState(id, "succeeded");
    assert.equal(stage().begun.length, 3);
  });
});
