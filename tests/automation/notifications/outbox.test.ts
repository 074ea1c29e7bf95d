import assert from "node:assert/strict";
import { Registry } from "prom-client";
import { PostgresAuditLog } from "../../../automation/audit/log.ts";
import { Deliveries } from "../../../automation/notifications/deliveries.ts";
import {
  announce,
  assign,
  claim,
  giveUp,
  giveUpForgotten,
  markDelivered,
  postpone,
  registerNotificationMetrics,
} from "../../../automation/notifications/outbox.ts";
import type { Notification } from "../../../core/notification.ts";
import type { Delivery } from "../../../core/notification-delivery.ts";
import { rejected } from "../../support/errors.ts";
import { bearer, fakeService } from "../../support/fake-service.ts";
import { migratedStore } from "../../support/migrated-store.ts";
import { withVariables } from "../../support/variables.ts";

const FAILED: Notification = {
  kind: "operation.failed",
  slug: "shop",
  operation: "01990000-0000-7000-8000-000000000001",
  what: "up",
  actor: "ada",
  errors: [{ code: "RDEV_ENGINE", message: "it failed" }],
};
const DRIFT: Notification = { kind: "drift.found", checked: 1, differing: [], failed: [] };

const LEASE = 60_000;

describe("the outbox of notifications", function () {
  this.timeout(60_000);
  const test = migratedStore("notifications", "notification_deliveries");

  const queued = () => test.admin("SELECT id, subject, event FROM notifications ORDER BY id");
  const send = (event: Notification) =>
    test.store().transaction((transaction) => announce(transaction, event));

  it("takes an event with the transaction that announces it, or not at all", async () => {
    await send(FAILED);
    const undone = test.store().transaction(async (transaction) => {
      await announce(transaction, FAILED);
      throw new Error("undone");
    });
    await rejected(undone, /undone/);
    const [row, ...more] = await queued();
    assert.deepEqual(more, []);
    assert.equal(row?.["subject"], "projects/shop");
    assert.deepEqual(row["event"], FAILED);
  });

  it("stores no secret of the service, and no text that is too long", async () => {
    await withVariables({ GITEA_TOKEN: "planted-token-of-gitea" }, () =>
      send({
        ...FAILED,
        errors: [
          { message: "GET / with planted-token-of-gitea failed" },
          { message: "postgres://app:planted-password@db/app is away" },
          { message: "x".repeat(5_000) },
        ],
      }),
    );
    const text = JSON.stringify(await queued());
    assert.doesNotMatch(text, /planted/);
    assert.match(text, /GET \/ with \[secret\] failed/);
    assert.ok(text.length < 2_500, `${text.length}`);
  });

  it("takes an event although a part of its id is a secret by chance", async () => {
    await withVariables({ GITEA_TOKEN: "0199", REDIS_PASSWORD: "oper" }, () => send(FAILED));
    const [row] = await queued();
    assert.deepEqual(row?.["event"], {
      ...FAILED,
      operation: "[secret]0000-0000-7000-8000-000000000001",
    });
  });

  it("assigns each event once, to the receivers that want it", async () => {
    await send(FAILED);
    await send(DRIFT);
    const receivers = [
      { name: "ops", events: ["operation.failed", "drift.found"] },
      { name: "drift", events: ["drift.found"] },
    ] as const;
    await Promise.all(Array.from({ length: 5 }, () => assign(test.store(), receivers)));
    const rows = await test.admin(`
      SELECT receiver || ' ' || subject AS row FROM notification_deliveries ORDER BY 1`);
    assert.deepEqual(
      rows.map(({ row }) => row),
      ["drift drift", "ops drift", "ops projects/shop"],
    );
    assert.deepEqual(await queued(), []);
  });

  it("lets one process at a time deliver an event, until its lease is over", async () => {
    await send(DRIFT);
    await assign(test.store(), [{ name: "ops", events: ["drift.found"] }]);
    const claims = await Promise.all(
      Array.from({ length: 5 }, () => claim(test.store(), "ops", LEASE)),
    );
    const [first, ...others] = claims.filter((each) => each !== undefined);
    assert.deepEqual(others, []);
    await test.admin("UPDATE notification_deliveries SET next_at = now()");
    const second = await claim(test.store(), "ops", LEASE);
    assert.equal(second?.id, first?.id);
    assert.equal(second?.attempts, 2);
    // The process that was too slow cannot shorten the second one's lease.
    await postpone(test.store(), first!, 0, "too slow");
    assert.equal(await claim(test.store(), "ops", LEASE), undefined);
    await markDelivered(test.store(), second);
    await test.admin("UPDATE notification_deliveries SET next_at = now()");
    assert.equal(await claim(test.store(), "ops", LEASE), undefined);
  });

  it("gives up what waits for a receiver that the settings do not have any more", async () => {
    await send(DRIFT);
    const [ops, team] = ["ops", "team"].map((name) => ({ name, events: ["drift.found"] as const }));
    await assign(test.store(), [ops!, team!]);
    await giveUpForgotten(test.store(), [ops!], LEASE);
    assert.ok(await claim(test.store(), "team", 0), "another replica may have older settings");
    await test.admin("UPDATE notification_deliveries SET at = now() - interval '2 minutes'");
    await giveUpForgotten(test.store(), [ops!], LEASE);
    const given = await test.admin(`
      SELECT receiver FROM notification_deliveries WHERE given_up_at IS NOT NULL`);
    assert.deepEqual(given, [{ receiver: "team" }]);
    await test.admin("UPDATE notification_deliveries SET at = now() - interval '31 days'");
    await giveUpForgotten(test.store(), [], LEASE);
    assert.deepEqual(await test.admin("SELECT FROM notification_deliveries"), []);
  });

  it("lists what receivers have not taken, and sends again what was given up", async () => {
    const store = test.store();
    const deliveries = new Deliveries(store, { audit: new PostgresAuditLog(store) });
    const { app, key } = await fakeService({ deliveries });
    const headers = bearer(key("admin"));
    const listed = async (query = "") => {
      const found: Delivery[] = [];
      let next: string | undefined = "";
      while (next !== undefined) {
        const cursor: string = next && `&cursor=${next}`;
        const url = `/v1/notifications?limit=1${query}${cursor}`;
        const answer = await app.inject({ url, headers });
        const page = answer.json<{ items: Delivery[]; next?: string }>();
        found.push(...page.items);
        next = page.next;
      }
      return found;
    };
    const resend = async (path: string) => {
      const url = `/v1/notifications/${path}`;
      const answer = await app.inject({ method: "POST", url, headers });
      return [answer.statusCode, answer.json<{ resent?: number }>().resent];
    };
    const names = (found: readonly Delivery[]) =>
      found.map(({ receiver, kind, state }) => `${receiver} ${kind} ${state}`);

    await send(FAILED);
    await send(DRIFT);
    const events = ["operation.failed", "drift.found"] as const;
    await assign(
      store,
      ["ops", "team"].map((name) => ({ name, events })),
    );
    const failed = (await claim(store, "ops", LEASE))!;
    const drift = (await claim(store, "ops", LEASE))!;
    for (const event of [failed, drift]) await giveUp(store, event, "ops answered 410.");
    assert.deepEqual(names(await listed()), [
      "team drift.found waiting",
      "ops drift.found given-up",
      "team operation.failed waiting",
      "ops operation.failed given-up",
    ]);
    const [first] = await listed("&state=given-up");
    const { givenUpAt, ...rest } = first!;
    assert.ok(givenUpAt);
    assert.deepEqual(rest, {
      ...{ id: drift.id, receiver: "ops", state: "given-up", kind: "drift.found" },
      ...{ subject: "drift", at: drift.at.toISOString(), attempts: 1, reason: "ops answered 410." },
    });

    assert.equal(await claim(store, "ops", LEASE), undefined);
    assert.deepEqual(await resend(`${failed.id}/resend`), [200, 1]);
    assert.deepEqual(await claim(store, "ops", LEASE), failed);
    assert.deepEqual(await resend(`${failed.id}/resend`), [404, undefined]);
    assert.deepEqual(await resend("resend"), [200, 1]);
    assert.deepEqual(await claim(store, "ops", LEASE), drift);
    assert.deepEqual(await resend("resend"), [200, 0]);
    assert.deepEqual(await listed("&state=given-up"), []);
    assert.deepEqual(
      await test.admin("SELECT actor, details FROM audit_log WHERE action LIKE 'notification.%'"),
      [{ id: failed.id, resent: 1 }, { resent: 1 }, { resent: 0 }].map((details) => ({
        actor: "a-admin",
        details,
      })),
    );
    await app.close();
  });

  it("counts for the metrics what waits, since when, and what was given up", async () => {
    const registry = new Registry();
    registerNotificationMetrics(registry, test.store());
    const values = async () => {
      const metrics = await registry.getMetricsAsJSON();
      return Object.fromEntries(metrics.map(({ name, values: [one] }) => [name, one?.value]));
    };
    assert.deepEqual(await values(), {
      rdev_notifications_backlog: 0,
      rdev_notifications_oldest_seconds: 0,
      rdev_notifications_given_up: 0,
    });
    for (const event of [DRIFT, FAILED, FAILED]) await send(event);
    await assign(test.store(), [{ name: "ops", events: ["operation.failed", "drift.found"] }]);
    await giveUp(test.store(), (await claim(test.store(), "ops", LEASE))!, "ops answered 410.");
    await test.admin("UPDATE notification_deliveries SET at = now() - interval '1 hour'");
    const { rdev_notifications_oldest_seconds: age, ...counts } = await values();
    assert.deepEqual(counts, { rdev_notifications_backlog: 2, rdev_notifications_given_up: 1 });
    assert.ok(Number(age) >= 3_600, String(age));
  });

  it("keeps the order of a subject's events, while other subjects go on", async () => {
    const blog = { ...FAILED, slug: "blog" };
    for (const event of [FAILED, DRIFT, FAILED, blog]) await send(event);
    await assign(test.store(), [{ name: "ops", events: ["operation.failed", "drift.found"] }]);
    const shop = await claim(test.store(), "ops", LEASE);
    await postpone(test.store(), shop!, LEASE, "answered 503");
    const drift = await claim(test.store(), "ops", LEASE);
    const second = await claim(test.store(), "ops", LEASE);
    assert.deepEqual([drift?.subject, second?.subject], ["drift", "projects/blog"]);
    assert.equal(await claim(test.store(), "ops", LEASE), undefined);
    await giveUp(test.store(), shop!, "answered 410");
    assert.equal((await claim(test.store(), "ops", LEASE))?.subject, "projects/shop");
  });
});
