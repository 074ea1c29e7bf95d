import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Citadel } from "../../sandbox/citadel/server.ts";
import { type CitadelCaller, logEvent, withStandIn } from "../support/citadel-caller.ts";

const SECRET = "a secret of some length";

describe("alerts and annotations of the stand-in for Citadel", () => {
  let citadel: Citadel;
  let caller: CitadelCaller;
  let tenant: string;

  withStandIn((given) => ({ citadel, caller, tenant } = given));

  describe("a webhook", () => {
    interface Alert {
      readonly signature: string;
      readonly body: string;
    }
    let receiver: Server;
    let url: string;
    let alerts: Alert[];
    /** The statuses that it answers, one after the other; then 204. */
    let statuses: number[];

    beforeEach(async () => {
      alerts = [];
      statuses = [];
      receiver = createServer((incoming, answer) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          const signature = String(incoming.headers["x-citadel-signature"]);
          alerts.push({ signature, body: Buffer.concat(chunks).toString() });
          answer.writeHead(statuses.shift() ?? 204).end();
          receiver.emit("alert");
        });
      }).listen(0, "127.0.0.1");
      await once(receiver, "listening");
      url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/alerts`;
    });
    afterEach(() => {
      receiver.closeAllConnections();
      receiver.close();
    });

    const register = (body: unknown = { url, secret: SECRET }) =>
      caller.call("POST", "/webhooks/deployments", body);
    const arrived = async (count: number) => {
      while (alerts.length < count) await once(receiver, "alert");
    };

    it("is called once, with a signature, for an error that is new", async () => {
      assert.equal((await register()).status, 201);
      const event = logEvent("order 17 failed", {
        level: "error",
        fields: { exception_type: "OrderError", language: "go", release_version: "1.2.3" },
      });
      await caller.ingest(tenant, [event, logEvent("all well")]);
      await caller.ingest(tenant, [{ ...event, message: "order 18 failed" }]);
      await caller.ingest(tenant, [{ ...event, message: "payment failed" }]);
      await arrived(2);
      const bodies = alerts.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
      const found = bodies.map(({ message }) => message).sort();
      assert.deepEqual(found, ["order 17 failed", "payment failed"]);
      const first = bodies.find(({ message }) => message === "order 17 failed");
      const { timestamp, fingerprint, dashboard_url, ...rest } = first ?? {};
      assert.deepEqual(rest, {
        event_type: "new_error",
        tenant_id: tenant,
        exception_type: "OrderError",
        message: "order 17 failed",
        language: "go",
        environment: "staging",
        release_version: "1.2.3",
        first_occurrence: event.timestamp,
      });
      for (const value of [timestamp, fingerprint, dashboard_url])
        assert.equal(typeof value, "string");
      for (const { signature, body } of alerts) {
        const expected = createHmac("sha256", SECRET).update(body).digest("hex");
        assert.equal(signature, `sha256=${expected}`);
      }
    });

    it("is retried twice when it fails", async () => {
      await register();
      statuses = [500, 500];
      await caller.ingest(tenant, [logEvent("broke", { level: "error" })]);
      await arrived(3);
      assert.equal(new Set(alerts.map(({ body }) => body)).size, 1);
      const { release_version } = JSON.parse(alerts[0]?.body ?? "") as Record<string, unknown>;
      assert.equal(release_version, null);
    });

    it("is registered once for each URL, and listed without its secret", async () => {
      const first = await register();
      assert.deepEqual(Object.keys(first.body as object), ["id", "url", "created_at"]);
      const again = await register({ url, secret: `${SECRET}, another` });
      assert.deepEqual(again, { status: 200, body: first.body });
      const { body } = await caller.call("GET", "/webhooks/deployments");
      assert.deepEqual(body, { webhooks: [first.body] });
      assert.ok(!JSON.stringify([first, body]).includes(SECRET));
    });

    it("requires an HTTP URL, a secret of at least 16 characters, and the right key", async () => {
      const wrong = [{ url }, { url, secret: "short" }, { url: "ftp://x/", secret: SECRET }, []];
      for (const body of wrong) assert.equal((await register(body)).status, 422);
      const headers = { authorization: `Bearer ${citadel.agentKey}` };
      const answer = await caller.call("GET", "/webhooks/deployments", undefined, headers);
      assert.equal(answer.status, 403);
    });

    it("delays neither ingest nor shutdown while the receiver is unreachable", async () => {
      await register({ url: "http://127.0.0.1:9/", secret: SECRET });
      const { status } = await caller.ingest(tenant, [logEvent("broke", { level: "error" })]);
      assert.equal(status, 202);
    });
  });

  describe("an annotation", () => {
    const annotate = (log_id: string, more = {}) =>
      caller.call("POST", "/annotations", {
        log_id,
        content: "known",
        annotation_type: "note",
        author_type: "system",
        ...more,
      });

    it("is accepted for an entry that exists", async () => {
      await caller.ingest(tenant, [logEvent("hello")]);
      const [entry] = (await caller.query("hello")).entries;
      const { status, body } = await annotate(entry?.id ?? "");
      assert.equal(status, 201);
      assert.equal((body as { content: string }).content, "known");
      assert.equal((await annotate("999999")).status, 404);
      assert.equal((await annotate("no id")).status, 404);
      assert.equal((await annotate(entry?.id ?? "", { content: " " })).status, 422);
    });

    it("is refused after its tenant was deleted", async () => {
      await caller.ingest(tenant, [logEvent("hello")]);
      const [entry] = (await caller.query("hello")).entries;
      await annotate(entry?.id ?? "");
      assert.equal((await caller.call("DELETE", `/tenants/${tenant}`)).status, 204);
      assert.equal((await annotate(entry?.id ?? "")).status, 404);
    });
  });
});
