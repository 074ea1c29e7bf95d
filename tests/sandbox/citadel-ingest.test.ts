import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { type CitadelCaller, logEvent, withStandIn } from "../support/citadel-caller.ts";

describe("what the stand-in for Citadel ingests", () => {
  let caller: CitadelCaller;
  let tenant: string;

  withStandIn((given) => ({ caller, tenant } = given));

  it("accepts gzip, up to 4 MiB decompressed, and no other encoding", async () => {
    const gzip = { "content-encoding": "gzip" };
    const pack = (message: string) => gzipSync(JSON.stringify([logEvent(message)]));
    assert.equal((await caller.ingest(tenant, pack("packed"), gzip)).status, 202);
    assert.deepEqual(await caller.found("packed"), ["packed"]);
    assert.equal((await caller.ingest(tenant, pack("x".repeat(5_000_000)), gzip)).status, 413);
    assert.equal((await caller.ingest(tenant, Buffer.from("[]"), gzip)).status, 400);
    assert.equal((await caller.ingest(tenant, "[]", { "content-encoding": "br" })).status, 415);
  });

  it("refuses invalid UTF-8 and lone surrogates, in the message and in fields", async () => {
    const [before, after] = JSON.stringify([logEvent("<here>")]).split("<here>");
    const broken = Buffer.concat([
      Buffer.from(before ?? ""),
      Buffer.from([0xff]),
      Buffer.from(after ?? ""),
    ]);
    const bad = [
      broken,
      [logEvent("half \ud800")],
      [logEvent("good", { fields: { a: { b: "\udc00" } } })],
      [logEvent("good", { fields: { "\udc00": 1 } })],
      [logEvent("good", { fields: { a: [{ "\udc00": 1 }] } })],
      [logEvent("good", { fields: { a: ["\ud800"] } })],
    ];
    for (const events of bad) {
      const answer = await caller.ingest(tenant, events);
      assert.equal(answer.status, 400);
      assert.match((answer.body as { error: string }).error, /UTF-8|Unicode/);
    }
    assert.equal((await caller.query("level:info")).total, 0);
  });

  it("stores unusual but valid text, numbers and times unchanged", async () => {
    const message = 'NUL \u0000, "quotes", 😀 and\nlines';
    const fields = { text: "\u0000", big: 1e300, small: -0.5, "": "no name" };
    const timestamp = "0000-01-01T00:00:00.000Z";
    assert.equal(
      (await caller.ingest(tenant, [logEvent(message, { fields, timestamp })])).status,
      202,
    );
    const { entries } = await caller.query(
      "😀 big:>1 small:<0 timestamp:<1970-01-01T00:00:00Z",
      {},
      {
        range: "999999d",
      },
    );
    assert.equal(entries[0]?.message, message);
    const entry = entries[0] as unknown as Record<string, unknown>;
    assert.equal(entry["timestamp"], timestamp);
    assert.deepEqual(entry["metadata"], { ...fields, environment: "staging", target: "main" });
  });

  it("accepts a message of 1 MiB", async () => {
    const message = "x".repeat(1024 * 1024);
    assert.equal((await caller.ingest(tenant, [logEvent(message)])).status, 202);
    assert.equal((await caller.query("xxx")).entries[0]?.message, message);
  });

  it("refuses fields that are nested 100,000 deep, and keeps running", async () => {
    const depth = 100_000;
    const event = JSON.stringify(logEvent("deep", { fields: { a: 0 } }));
    const nests = [
      `${'{"a":'.repeat(depth)}0${"}".repeat(depth)}`,
      "[".repeat(depth) + "]".repeat(depth),
    ];
    for (const nest of nests) {
      const answer = await caller.ingest(tenant, `[${event.replace('"a":0', `"a":${nest}`)}]`);
      assert.equal(answer.status, 400);
      assert.match((answer.body as { error: string }).error, /nested/);
    }
    assert.equal((await caller.query("deep")).total, 0);
  });

  it("accepts fields nested 32 deep, and refuses 33", async () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
    for (const [depth, status] of [
      [32, 202],
      [33, 400],
    ] as const) {
      const answer = await caller.ingest(tenant, [logEvent("deep", { fields: nested(depth) })]);
      assert.equal(answer.status, status, String(depth));
    }
  });

  it("timestamps a single event on arrival, and stores its attributes as fields", async () => {
    const attributes = { service: "api", environment: "staging", target: "main", n: 1 };
    const single = { message: "one", level: "info", attributes };
    const before = Date.now();
    await caller.call("POST", "/ingest/event", single, { "x-tenant-id": tenant });
    const [entry] = (await caller.query("one environment:staging target:main")).entries;
    const { timestamp, service, metadata } = entry as unknown as Record<string, unknown>;
    assert.ok(Date.parse(timestamp as string) >= before - 1);
    assert.deepEqual(
      [service, metadata],
      ["api", { n: 1, environment: "staging", target: "main" }],
    );
  });

  it("ignores fields that are named like one of the event's own properties", async () => {
    const fields = { level: "error", message: "other", service: "other", timestamp: 1 };
    await caller.ingest(tenant, [logEvent("plain", { fields })]);
    for (const q of ["level:error", "message:other", "service:other", "timestamp:1"]) {
      assert.deepEqual(await caller.found(q), [], q);
    }
    assert.deepEqual(await caller.found("level:info message:plain service:rdev-api"), ["plain"]);
  });
});
