import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Deliverer, type DelivererOptions } from "../../../automation/notifications/deliverer.ts";
import { announce, queueAgain } from "../../../automation/notifications/outbox.ts";
import { parseReceivers } from "../../../automation/notifications/receivers.ts";
import { connection } from "../../../core/connections.ts";
import type { Notification } from "../../../core/notification.ts";
import { until } from "../../../sandbox/process.ts";
import { thrown } from "../../support/errors.ts";
import { migratedStore } from "../../support/migrated-store.ts";
import { mailServer, webhookReceiver } from "../../support/receivers.ts";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const QUICK = { first: 10, longest: 50, max: 1_000 };

const failed = (slug: string, message = "it failed"): Notification => ({
  kind: "operation.failed",
  slug,
  operation: "01990000-0000-7000-8000-000000000001",
  what: "up",
  actor: "ada",
  errors: [{ code: "RDEV_ENGINE", message }],
});
const DRIFT: Notification = {
  kind: "drift.found",
  checked: 3,
  differing: [
    { slug: "shop", since: "2026-01-02T03:04:05Z", resources: 2 },
    { slug: "blog", since: "2026-01-02T03:04:05Z", resources: 1 },
  ],
  failed: [{ slug: "news", message: "RDEV_DEADLINE: no answer" }],
};

/** The receivers of a file, as the service reads them. */
function receiversOf(settings: object, variables: Record<string, string> = {}) {
  return parseReceivers(
    JSON.stringify(settings),
    connection("notifications", {
      RDEV_INFRA_NOTIFICATIONS_FILE: "notifications.yaml",
      ...variables,
    }),
  );
}

describe("notifications", function () {
  this.timeout(60_000);
  const test = migratedStore("notifications", "notification_deliveries");
  const cleanUp: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    await Promise.all(cleanUp.splice(0).map((each) => each()));
  });

  const send = (event: Notification) =>
    test.store().transaction((transaction) => announce(transaction, event));

  /** A replica of the service that sends until the end of the test. Returns its failures. */
  function replica(
    receivers: DelivererOptions["receivers"],
    more: Partial<DelivererOptions> = {},
  ): string[] {
    const failures: string[] = [];
    const stop = new AbortController();
    const onFailure = ({ message }: Error) => void failures.push(message);
    const options = {
      store: test.store(),
      platform: "staging",
      poll: 20,
      backoff: QUICK,
      onFailure,
    };
    const done = new Deliverer({ ...options, receivers, ...more }).run(stop.signal);
    cleanUp.unshift(async () => {
      stop.abort();
      await done;
    });
    return failures;
  }

  async function receiver(
    ...more: Parameters<typeof webhookReceiver> extends [string, ...infer R] ? R : never
  ) {
    const started = await webhookReceiver(SECRET, ...more);
    cleanUp.push(() => started.close());
    return started;
  }

  const webhooks = (hooks: Record<string, string>, events?: readonly string[]) =>
    receiversOf(
      {
        webhooks: Object.entries(hooks).map(([name, url]) => ({
          name,
          url,
          ...(events && { events }),
        })),
      },
      {
        RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify(
          Object.fromEntries(Object.keys(hooks).map((name) => [name, SECRET])),
        ),
      },
    );

  const waiting = () => test.admin("SELECT reason, given_up_at FROM notification_deliveries");

  it("reach a receiver as signed CloudEvents of the kinds that it wants", async () => {
    const ops = await receiver();
    replica(webhooks({ ops: ops.url }, ["drift.found"]));
    await send(failed("shop"));
    await send(DRIFT);
    await until(() => assert.equal(ops.events.length, 1));
    const [event] = ops.events;
    const { kind, ...data } = DRIFT;
    assert.deepEqual(event?.data, data);
    assert.deepEqual(
      [event?.type, event?.source, event?.subject],
      [`io.rdev.${kind}`, "/rdev-infra/staging", "drift"],
    );
    await until(async () => assert.deepEqual(await waiting(), []));
    assert.deepEqual(await test.admin("SELECT FROM notifications"), []);
  });

  it("are signed with both secrets while one replaces the other", async () => {
    const ops = await receiver();
    const other = `whsec_${randomBytes(24).toString("base64")}`;
    const settings = { webhooks: [{ name: "ops", url: ops.url }] };
    const both = JSON.stringify({ ops: `${other} ${SECRET}` });
    replica(receiversOf(settings, { RDEV_INFRA_WEBHOOK_SECRETS: both }));
    await send(DRIFT);
    await until(() => assert.equal(ops.events.length, 1));
  });

  it("are sent once by several replicas", async () => {
    const ops = await receiver();
    for (let index = 0; index < 3; index += 1) replica(webhooks({ ops: ops.url }));
    const slugs = Array.from({ length: 30 }, (_, index) => `p${index}`);
    for (const slug of slugs) await send(failed(slug));
    await until(async () => {
      assert.equal(ops.events.length, slugs.length);
      assert.deepEqual(await waiting(), []);
    });
    assert.equal(new Set(ops.events.map(({ id }) => id)).size, slugs.length);
  });

  it("keep their id when they are sent again, and their order for a project", async () => {
    let refusals = 3;
    const ops = await receiver((_event, response) => {
      refusals -= 1;
      response.writeHead(refusals >= 0 ? 503 : 200).end();
    });
    const failures = replica(webhooks({ ops: ops.url }));
    for (const message of ["first", "second", "third"]) await send(failed("shop", message));
    await until(async () => {
      assert.equal(ops.events.length, 6);
      assert.deepEqual(await waiting(), []);
    });
    const messages = ops.events.map(({ data }) => JSON.stringify(data["errors"]));
    for (const text of messages.slice(0, 4)) assert.match(text, /first/);
    assert.match(messages[4]!, /second/);
    assert.match(messages[5]!, /third/);
    assert.equal(new Set(ops.events.slice(0, 4).map(({ id }) => id)).size, 1);
    assert.deepEqual(failures, Array(3).fill("ops answered 503."));
  });

  it("are sent again by another replica if the first one died with the event", async () => {
    const ops = await receiver((_event, response) => {
      // The first replica never hears the answer.
      if (ops.events.length > 1) response.writeHead(200).end();
    });
    replica(webhooks({ ops: ops.url }), { lease: 200, deadline: 30_000 });
    await send(DRIFT);
    await until(() => assert.equal(ops.events.length, 1));
    replica(webhooks({ ops: ops.url }), { lease: 200 });
    await until(() => assert.equal(ops.events.length, 2));
    assert.equal(ops.events[0]?.id, ops.events[1]?.id);
  });

  it("reach other receivers while one hangs, is away, redirects or answers endlessly", async () => {
    const hanging = await receiver(() => undefined);
    const ops = await receiver();
    const endless = await receiver((_event, response) => {
      response.writeHead(500);
      const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
      response.on("close", () => clearInterval(timer));
    });
    const redirecting = await receiver((_event, response) => {
      response.writeHead(307, { location: ops.url }).end();
    });
    const gone = await receiver();
    await gone.close();
    const failures = replica(
      webhooks({
        hanging: hanging.url,
        away: gone.url,
        endless: endless.url,
        redirecting: redirecting.url,
        ops: ops.url,
      }),
      { deadline: 1_000 },
    );
    for (let index = 0; index < 10; index += 1) await send(failed(`p${index}`));
    await until(() => assert.equal(ops.events.length, 10));
    await until(() => {
      for (const why of [
        /^hanging cannot be reached \(no answer in time\)/,
        /^away cannot be reached \(ECONNREFUSED\)/,
        /^endless answered 500/,
        /^redirecting answered 307/,
      ]) {
        assert.ok(
          failures.some((line) => why.test(line)),
          String(why),
        );
      }
    });
    // The receiver behind the redirect got nothing through it.
    assert.equal(ops.events.length, 10);
  });

  it("are given up at once for 410, and after 3 days without success", async () => {
    const ops = await receiver((event, response) => {
      response.writeHead(event.subject === "drift" ? 410 : 500).end();
    });
    const failures = replica(webhooks({ ops: ops.url }));
    await send(DRIFT);
    await until(async () => {
      const [row] = await waiting();
      assert.match(String(row?.["reason"]), /answered 410/);
      assert.ok(row?.["given_up_at"]);
    });
    await send(failed("shop"));
    await until(() => assert.ok(failures.includes("ops answered 500.")));
    await test.admin(`
      UPDATE notification_deliveries SET at = at - interval '73 hours' WHERE subject <> 'drift'`);
    await until(async () => {
      const rows = await waiting();
      assert.ok(rows.every((row) => row["given_up_at"] !== null));
    });
    const last = "ops answered 500. It is given up after 3 days.";
    assert.ok(failures.includes(last));
    const before = ops.events.length;
    failures.splice(0);
    await test.store().transaction((transaction) => queueAgain(transaction, ops.events.at(-1)?.id));
    await until(() => assert.ok(failures.includes(last)));
    assert.equal(ops.events.length - before, 10, "one that is sent again is not given up at once");
  });

  it("are removed without receivers", async () => {
    replica([]);
    await send(DRIFT);
    await until(async () => assert.deepEqual(await test.admin("SELECT FROM notifications"), []));
    assert.deepEqual(await waiting(), []);
  });

  describe("by e-mail", () => {
    const ACCOUNT = { user: "rdev", password: "planted-smtp-password" };
    const mails = (port: number, { password = ACCOUNT.password, to = ["ada@example.test"] } = {}) =>
      receiversOf(
        { from: "rdev@example.test", mails: [{ name: "team", to }] },
        { SMTP_URL: `smtp://rdev:${password}@127.0.0.1:${port}` },
      );

    it("reach people as one text that names all", async () => {
      const server = await mailServer(ACCOUNT, { startTls: false });
      cleanUp.push(() => server.close());
      replica(mails(server.port));
      await send(DRIFT);
      await until(() => assert.equal(server.mails.length, 1));
      const [mail] = server.mails;
      assert.deepEqual(mail?.to, ["ada@example.test"]);
      const text = mail.text.replaceAll("=\r\n", "");
      for (const part of [
        "Subject: [staging] 2 of 3 projects differ from their settings, 1 could",
        "Auto-Submitted: auto-generated",
        "shop: 2 resources, since",
        "blog: 1 resource, since",
        "Could not be checked:",
        "news: RDEV_DEADLINE: no answer",
      ]) {
        assert.ok(text.includes(part), `${part}\n${text}`);
      }
      assert.match(text, /^Message-ID: <[0-9a-f-]{36}@rdev-infra\.staging>/im);
    });

    it("are not sent in plain text, or to a server whose certificate nobody vouches for", async () => {
      const server = await mailServer(ACCOUNT, { startTls: true });
      cleanUp.push(() => server.close());
      const failures = replica(mails(server.port));
      await send(DRIFT);
      await until(() => assert.match(failures.join(), /did not take it \(ES/));
      assert.deepEqual(server.mails, []);
    });

    it("reach the others if the server refuses one of them, and this is reported", async () => {
      const server = await mailServer(ACCOUNT, { startTls: false, refuses: "gone@example.test" });
      cleanUp.push(() => server.close());
      const to = ["gone@example.test", "ada@example.test"];
      const failures = replica(mails(server.port, { to }));
      await send(DRIFT);
      await until(async () => {
        assert.deepEqual(failures, ["team: the mail server refused 1 of 2 recipients."]);
        assert.deepEqual(await waiting(), []);
      });
      assert.deepEqual(
        server.mails.map((mail) => mail.to),
        [["ada@example.test"]],
      );
    });

    it("that the server refuses leave no password in the reason", async () => {
      const server = await mailServer(ACCOUNT, { startTls: false });
      cleanUp.push(() => server.close());
      const failures = replica(mails(server.port, { password: "planted-wrong-password" }));
      await send(DRIFT);
      await until(() => assert.match(failures.join(), /team: .*\(EAUTH 535\)/));
      await until(async () => assert.ok((await waiting())[0]?.["reason"]));
      assert.doesNotMatch(JSON.stringify([failures, await waiting()]), /planted/);
    });
  });
});

describe("the settings of notifications", () => {
  it("name every problem in one error, but no secret", () => {
    const settings = {
      webhooks: [
        { name: "ops", url: "http://hooks.example.com" },
        { name: "Ops", url: "https://user:planted-password@hooks.example.com", events: ["up"] },
      ],
      mails: [{ name: "ops", to: [] }],
    };
    const error = thrown("RDEV_NOTIFICATIONS", () => receiversOf(settings));
    for (const line of [
      "webhooks.0.url: is not a URL that begins with https://",
      "webhooks.1.name: is not a name",
      "webhooks.1.url: contains a user or a password",
      "webhooks.1.events.0: ",
      "mails.0.to: names nobody",
    ]) {
      assert.ok(error.message.includes(line), `${line}\n${error.message}`);
    }
    assert.doesNotMatch(error.message, /planted/);
  });

  it("need a sender, a mail server, different names, and a secret for each webhook", () => {
    const settings = {
      webhooks: [{ name: "ops", url: "https://hooks.example.com" }],
      mails: [{ name: "ops", to: ["ada@example.test"] }],
    };
    const first = thrown("RDEV_NOTIFICATIONS", () => receiversOf(settings));
    assert.match(first.message, /from: is missing/);
    assert.match(first.message, /name: two receivers have the name "ops"/);
    const mails = [{ name: "team", to: ["ada@example.test"] }];
    const second = thrown("RDEV_NOTIFICATIONS", () =>
      receiversOf(
        { ...settings, mails, from: "rdev@example.test" },
        { RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify({ other: SECRET }) },
      ),
    );
    assert.match(second.message, /"ops" has no secret in RDEV_INFRA_WEBHOOK_SECRETS/);
    assert.match(second.message, /no webhook has the name "other"/);
    assert.match(second.message, /mails: needs the variable SMTP_URL/);
  });

  it("accept a webhook that is called like a property of every object", () => {
    const settings = { webhooks: [{ name: "constructor", url: "https://hooks.example.com" }] };
    const { message } = thrown("RDEV_NOTIFICATIONS", () => receiversOf(settings));
    assert.match(message, /"constructor" has no secret in RDEV_INFRA_WEBHOOK_SECRETS/);
    const given = (name: string) => ({
      RDEV_INFRA_WEBHOOK_SECRETS: `{"${name}": "${SECRET}"}`,
    });
    const [receiver] = receiversOf(settings, given("constructor"));
    assert.ok(receiver && "secrets" in receiver);
    assert.deepEqual(receiver.secrets, [Buffer.from(SECRET.slice("whsec_".length), "base64")]);
    const other = thrown("RDEV_NOTIFICATIONS", () => receiversOf({}, given("__proto__")));
    assert.match(other.message, /no webhook has the name "__proto__"/);
  });

  it("refuse malformed secrets without repeating them", () => {
    for (const text of ["planted", '{"ops": "planted"}', '{"ops": "whsec_planted"}']) {
      const { message } = thrown("RDEV_CONNECTION", () =>
        receiversOf({}, { RDEV_INFRA_WEBHOOK_SECRETS: text }),
      );
      assert.match(message, /RDEV_INFRA_WEBHOOK_SECRETS/);
      assert.doesNotMatch(message, /planted/);
    }
  });
});
