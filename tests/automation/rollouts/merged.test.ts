import assert from "node:assert/strict";
import { PostgresAuditLog } from "../../../automation/audit/log.ts";
import { MergedComments } from "../../../automation/rollouts/merged-comments.ts";
import { MergedRequests } from "../../../automation/rollouts/merged-requests.ts";
import { MergedRollouts } from "../../../automation/rollouts/merged.ts";
import { Rollouts } from "../../../automation/rollouts/rollouts.ts";
import { rolloutRequest } from "../../../core/rollout.ts";
import { rejected } from "../../support/errors.ts";
import { migratedStore } from "../../support/migrated-store.ts";

const [OLD, NEW] = ["1.0.0+old", "1.0.0+new"];
const COMMIT = "c".repeat(40);
const ALICE = { id: "user:7", actor: "user:alice (7)" };

describe("the rollout of a merged commit", () => {
  const test = migratedStore(
    ...["merged_rollouts", "rollouts", "rollout_projects", "rollout_events"],
    ...["projects", "drift", "lifetimes"],
  );
  let comments: string[];
  let isForgeAway: boolean;

  beforeEach(async () => {
    comments = [];
    isForgeAway = false;
    await test.admin(`INSERT INTO projects (slug, platform, name, program_version)
      VALUES ('my-app', 'staging', 'my-app', '${OLD}'), ('wiki', 'staging', 'wiki', '${OLD}')`);
  });

  /** What a service of this version has. */
  const serviceOf = (version: string) => {
    const store = test.store();
    const common = { platform: "staging", version, audit: new PostgresAuditLog(store) };
    const rollouts = new Rollouts(store, { ...common, ownApproval: false });
    return { rollouts, merged: new MergedRollouts({ ...common, store, rollouts }) };
  };
  const requests = () =>
    new MergedRequests(test.store(), { audit: new PostgresAuditLog(test.store()) });
  /** Posts the comments that are due. */
  const post = async () => {
    const log = { warn: (_fields: object, text: string) => void comments.push(`log: ${text}`) };
    const comment = async (number: number, text: string) => {
      if (isForgeAway) throw new Error("the forge is away");
      comments.push(`#${number}: ${text}`);
    };
    const poster = new MergedComments({ store: test.store(), platform: "staging", comment, log });
    while (await poster.postNext());
  };
  const states = async () =>
    (await requests().list({ limit: 10 })).map(({ pullRequest, state }) => [pullRequest, state]);
  let last = 0;
  /** The ids ascend, as those of requests at different times do. */
  const newId = () => `01990000-0000-7000-8000-${String((last += 1)).padStart(12, "0")}`;
  const requested = (more: object = {}) => ({
    ...{ id: newId(), number: 7, commit: COMMIT, version: NEW, by: "ada" },
    ...more,
  });
  const list = () => serviceOf(NEW).rollouts.list({ limit: 10 });

  it("waits for a service of that version, which plans it once", async () => {
    const before = serviceOf(OLD).merged;
    assert.match(
      await before.request(requested()),
      /waits until the service has the version `1.0.0\+new`/,
    );
    await before.run();
    assert.deepEqual(await list(), []);
    const [one, other] = [serviceOf(NEW).merged, serviceOf(NEW).merged];
    await one.run();
    await other.run();
    await post();
    await post();
    const [rollout, ...more] = await list();
    assert.deepEqual(more, []);
    assert.deepEqual(
      [rollout?.state, rollout?.version, rollout?.actor],
      ["planning", NEW, "user:ada"],
    );
    assert.equal(comments.length, 1);
    assert.match(comments[0] ?? "", /^#7: [^]*rdev-infra rollout approve/);
    assert.ok(comments[0]?.includes(rollout?.id ?? "no id"));
    const audited = await test.admin(
      "SELECT action, actor FROM audit_log WHERE action LIKE 'rollout.%' ORDER BY id DESC LIMIT 2",
    );
    assert.deepEqual(audited, [
      { action: "rollout.start", actor: "user:ada" },
      { action: "rollout.request", actor: "user:ada" },
    ]);
  });

  it("is asked for once by a request that is repeated", async () => {
    const { merged } = serviceOf(NEW);
    const once = requested();
    await merged.request(once);
    await merged.run();
    await merged.request(once);
    await test.admin("UPDATE rollouts SET state = 'cancelled', ended_at = now()");
    await merged.run();
    assert.equal((await list()).length, 1);
  });

  it("is planned by the service that has the version already", async () => {
    const { merged } = serviceOf(NEW);
    assert.match(await merged.request(requested()), /is being planned/);
    await merged.run();
    assert.equal((await list()).length, 1);
  });

  it("takes the place of one that waits, and says so on another pull request", async () => {
    const { merged } = serviceOf(OLD);
    await merged.request(requested({ number: 6 }));
    await merged.request(requested());
    await merged.request(requested());
    await serviceOf(NEW).merged.run();
    await post();
    assert.equal((await list()).length, 1);
    assert.deepEqual(await states(), [
      [7, "planned"],
      [7, "superseded"],
      [6, "superseded"],
    ]);
    const [superseded = "", planned = "", ...more] = comments.toSorted();
    assert.match(superseded, /^#6: No rollout of c+: .*of pull request 7, took its place/);
    assert.match(planned, /^#7: .*is planned/);
    assert.deepEqual(more, []);
  });

  it("ends after a week, says so, and is not done any more", async () => {
    const { merged } = serviceOf(OLD);
    await merged.request(requested());
    await test.admin("UPDATE merged_rollouts SET created_at = now() - interval '8 days'");
    await merged.run();
    await serviceOf(NEW).merged.run();
    await post();
    assert.deepEqual(await list(), []);
    assert.deepEqual(await states(), [[7, "expired"]]);
    assert.equal(comments.length, 1);
    assert.match(comments[0] ?? "", /^#7: No rollout of c+: .*waited for 7 days/);
    const [last] = await test.admin("SELECT action, actor FROM audit_log ORDER BY id DESC LIMIT 1");
    assert.deepEqual(last, { action: "rollout.request.expire", actor: "rdev-infra:rollout" });
  });

  it("can be listed by its state, and page by page", async () => {
    const { merged } = serviceOf(OLD);
    const [older, newer] = [requested({ number: 6 }), requested()];
    await merged.request(older);
    await merged.request(newer);
    const [waiting, ...more] = await requests().list({ limit: 10, state: "waiting" });
    assert.deepEqual(more, []);
    const { createdAt, expiresAt, ...same } = waiting!;
    assert.deepEqual(same, {
      ...{ id: newer.id, platform: "staging", pullRequest: 7, commit: COMMIT, version: NEW },
      ...{ state: "waiting", actor: "user:ada" },
    });
    assert.equal(Date.parse(expiresAt) - Date.parse(createdAt), 7 * 24 * 3_600_000);
    const [before, ...none] = await requests().list({ limit: 10, before: newer.id });
    assert.deepEqual([before?.id, before?.state, none], [older.id, "superseded", []]);
  });

  it("can be cancelled while it waits, and is not planned then", async () => {
    const { merged } = serviceOf(OLD);
    const asked = requested();
    const { id } = asked;
    await merged.request(asked);
    const cancelled = await requests().cancel(id, "bob <b>");
    assert.deepEqual(
      [cancelled.state, cancelled.reason, cancelled.endedAt !== undefined],
      ["cancelled", "Cancelled by bob <b>.", true],
    );
    assert.deepEqual(await requests().cancel(id, "ada"), cancelled, "it stays as it is");
    await serviceOf(NEW).merged.run();
    await post();
    assert.deepEqual(await list(), []);
    assert.deepEqual(comments, [
      "#7: No rollout of cccccccccc: <code>Cancelled by bob &#60;b&#62;.</code>",
    ]);
    const audited = await test.admin(`SELECT actor, details ->> 'request' AS request FROM audit_log
      WHERE action = 'rollout.request.cancel' AND details ->> 'request' = '${id}'`);
    assert.deepEqual(audited, [{ actor: "bob <b>", request: id }]);
  });

  it("cannot be cancelled once its rollout is planned, or if there is none", async () => {
    const { merged } = serviceOf(NEW);
    const asked = requested();
    const { id } = asked;
    await merged.request(asked);
    await merged.run();
    const [rollout] = await list();
    const message = `The request ${id} is planned already. Cancel its rollout ${rollout?.id}.`;
    await assert.rejects(requests().cancel(id, "bob"), { code: "RDEV_ROLLOUT", message });
    await assert.rejects(requests().cancel(newId(), "bob"), { code: "RDEV_NOT_FOUND" });
  });

  it("is not planned if a newer request took its place at the last moment", async () => {
    const { merged, rollouts } = serviceOf(NEW);
    await merged.request(requested());
    const late = new MergedRollouts({
      ...{ store: test.store(), platform: "staging", version: NEW },
      audit: new PostgresAuditLog(test.store()),
      rollouts: {
        start: async (...args) => {
          await merged.request(requested({ number: 8, version: "1.0.0+newer" }));
          return rollouts.start(...args);
        },
      },
    });
    await assert.rejects(late.run(), { code: "RDEV_CONFLICT" });
    assert.deepEqual(await list(), []);
    await post();
    assert.equal(comments.length, 1);
    assert.match(comments[0] ?? "", /^#7: .*of pull request 8, took its place/);
  });

  it("waits while another rollout has a project, and says so if nothing is outdated", async () => {
    const { merged, rollouts } = serviceOf(NEW);
    await merged.request(requested());
    await merged.run();
    await merged.request(requested({ number: 8 }));
    await assert.rejects(merged.run(), { code: "RDEV_BUSY" });
    const [first] = await list();
    await rollouts.cancel(first!.id, { id: "bob", actor: "bob" });
    await test.admin("UPDATE rollouts SET state = 'cancelled', ended_at = now()");
    await test.admin(`UPDATE projects SET program_version = '${NEW}'`);
    await merged.run();
    await post();
    assert.match(comments.at(-1) ?? "", /^#8: No rollout of c+: [^]*names no project/);
    assert.equal((await list()).length, 1);
  });

  it("is planned while the forge is away, and its comment is tried for a day", async () => {
    const { merged } = serviceOf(NEW);
    await merged.request(requested());
    await merged.run();
    isForgeAway = true;
    await post();
    assert.equal((await list()).length, 1);
    assert.deepEqual(comments, [
      "log: the comment could not be posted: RDEV_INTERNAL: the forge is away",
    ]);
    await post();
    assert.equal(comments.length, 1, "the next attempt waits");
    isForgeAway = false;
    const age = (more: string) =>
      test.admin(`UPDATE merged_rollouts SET comment_at = now()${more}`);
    await age("");
    await post();
    assert.match(comments.at(-1) ?? "", /^#7: .*is planned/);
    isForgeAway = true;
    await age(", ended_at = now() - interval '25 hours'");
    await post();
    assert.match(comments.at(-1) ?? "", /^log: the comment is given up/);
    const left = await test.admin("SELECT FROM merged_rollouts WHERE comment_at IS NOT NULL");
    assert.deepEqual(left, []);
  });

  it("is not approved by the person who asked for it where the platform says so", async () => {
    const { merged, rollouts } = serviceOf(NEW);
    await merged.request(requested());
    await merged.run();
    const [{ id } = { id: "" }] = await list();
    await test.admin("UPDATE rollouts SET state = 'planned', plan = 'p'");
    const plan = { plan: "p", dataLoss: false };
    const ada = { id: "user:7", actor: "user:ada (7)" };
    await assert.rejects(rollouts.approve(id, plan, ada), { code: "RDEV_ROLE" });
    const bob = { id: "user:8", actor: "user:bob (8)" };
    assert.equal((await rollouts.approve(id, plan, bob)).state, "running");
  });

  it("knows the person who asked by the account's name, and other starters by their ids", async () => {
    const { rollouts } = serviceOf(NEW);
    const startedBy = async (slug: string, caller: typeof ALICE) =>
      (await rollouts.start(rolloutRequest.parse({ select: { slugs: [slug] } }), caller)).id;
    /** A caller who may approve is told that the plan is another one. */
    const refusal = async (id: string, caller: typeof ALICE) =>
      (await rejected(rollouts.approve(id, { plan: "x", dataLoss: false }, caller), /./)).name;
    const onForge = await startedBy("my-app", { id: "forge:Alice", actor: "user:Alice" });
    for (const actor of ["user:Alice (7)", "user:alice (7)", "user:Alice (pool|(7))"]) {
      assert.equal(await refusal(onForge, { id: "user:7", actor }), "RDEV_ROLE", actor);
    }
    for (const actor of ["alice", "user:alice2 (7)", "serviceAccount:ci/alice"]) {
      assert.equal(await refusal(onForge, { id: "other", actor }), "RDEV_ROLLOUT", actor);
    }
    const byNamesake = await startedBy("wiki", { id: "user:9", actor: "user:alice (9)" });
    assert.equal(await refusal(byNamesake, ALICE), "RDEV_ROLLOUT");
    assert.equal(await refusal(byNamesake, { id: "user:9", actor: "user:bob (9)" }), "RDEV_ROLE");
  });
});
