import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { PostgresAuditLog } from "../../../automation/audit/log.ts";
import { MergedRollouts } from "../../../automation/rollouts/merged.ts";
import { Rollouts } from "../../../automation/rollouts/rollouts.ts";
import { migratedStore } from "../../support/migrated-store.ts";

const [OLD, NEW] = ["1.0.0+old", "1.0.0+new"];
const COMMIT = "c".repeat(40);

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
    const log = { warn: (_fields: object, text: string) => void comments.push(`log: ${text}`) };
    const merged = new MergedRollouts({
      ...common,
      store,
      rollouts,
      log,
      comment: async (number, text) => {
        if (isForgeAway) throw new Error("the forge is away");
        comments.push(`#${number}: ${text}`);
      },
    });
    return { rollouts, merged };
  };
  const requested = (more: object = {}) => ({
    ...{ id: randomUUID(), number: 7, commit: COMMIT, version: NEW, by: "ada" },
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

  it("takes the place of one that waits, and is not done a week later", async () => {
    const { merged } = serviceOf(OLD);
    await merged.request(requested({ number: 6 }));
    await merged.request(requested());
    await test.admin("UPDATE merged_rollouts SET created_at = now() - interval '8 days'");
    await serviceOf(NEW).merged.run();
    assert.deepEqual(await list(), []);
    await test.admin("UPDATE merged_rollouts SET created_at = now()");
    await serviceOf(NEW).merged.run();
    assert.equal((await list()).length, 1);
    assert.match(comments.join(), /^#7/);
  });

  it("is not planned if a newer request took its place at the last moment", async () => {
    const { merged, rollouts } = serviceOf(NEW);
    await merged.request(requested());
    const late = new MergedRollouts({
      ...{ store: test.store(), platform: "staging", version: NEW, log: { warn: () => undefined } },
      audit: new PostgresAuditLog(test.store()),
      comment: async (number, text) => comments.push(`#${number}: ${text}`),
      rollouts: {
        start: async (...args) => {
          await merged.request(requested({ number: 8, version: "1.0.0+newer" }));
          return rollouts.start(...args);
        },
      },
    });
    await assert.rejects(late.run(), { code: "RDEV_CONFLICT" });
    assert.deepEqual(await list(), []);
    assert.deepEqual(comments, []);
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
    assert.match(comments.at(-1) ?? "", /^#8: No rollout of c+: [^]*names no project/);
    assert.equal((await list()).length, 1);
  });

  it("stays planned if the comment cannot be posted", async () => {
    const { merged } = serviceOf(NEW);
    await merged.request(requested());
    isForgeAway = true;
    await merged.run();
    assert.equal((await list()).length, 1);
    assert.match(comments.join(), /log: the comment could not be posted/);
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
});
