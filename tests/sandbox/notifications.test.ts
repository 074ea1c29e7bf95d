import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { mailEvent } from "../../automation/notifications/mail.ts";
import type { ClaimedEvent } from "../../automation/notifications/outbox.ts";
import { readReceivers } from "../../automation/notifications/receivers.ts";
import { postEvent } from "../../automation/notifications/webhook.ts";
import { connection } from "../../core/connections.ts";
import { type NotificationReceivers, startReceivers } from "../../sandbox/notifications.ts";
import { rejected } from "../support/errors.ts";

const EVENT: ClaimedEvent = {
  id: "01990000-0000-7000-8000-000000000001",
  receiver: "sandbox",
  at: new Date("2026-01-02T03:04:05Z"),
  subject: "projects/shop",
  event: { kind: "project.ending", slug: "shop", step: "notice", at: "2026-01-03T00:00:00Z" },
  attempts: 1,
};
const OPTIONS = { platform: "staging", deadline: 10_000 };

describe("the sandbox's receivers of notifications", () => {
  let folder: string;
  let receivers: NotificationReceivers;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-receivers-"));
    receivers = await startReceivers(folder);
  });
  afterEach(async () => {
    await receivers.close();
    await rm(folder, { recursive: true });
  });

  const arrived = async () => (await (await request(receivers.url)).body.json()) as object[];

  it("show the events that a service with their variables sends, the newest first", async () => {
    for (const receiver of await readReceivers(connection("notifications", receivers.variables))) {
      if ("url" in receiver) assert.equal(await postEvent(receiver, EVENT, OPTIONS), "taken");
      else assert.equal(await mailEvent(receiver, EVENT, OPTIONS), 0);
    }
    const [mail, webhook, ...others] = await arrived();
    assert.match(JSON.stringify(mail), /Subject: \[staging\] shop: its time to live ends soon/);
    assert.match(JSON.stringify(webhook), /"type":"io.rdev.project.ending","subject":"projects/);
    assert.deepEqual(others, []);
  });

  it("refuse an event that is signed with another secret", async () => {
    const [webhook] = await readReceivers(connection("notifications", receivers.variables));
    assert.ok(webhook && "url" in webhook);
    const forged = { ...webhook, secrets: [randomBytes(32)] };
    await rejected(postEvent(forged, EVENT, OPTIONS), /^sandbox answered 401\.$/);
    assert.deepEqual(await arrived(), []);
  });
});
