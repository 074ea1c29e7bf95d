import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "@msgpack/msgpack";
import { readRejectedChunk, replayRejected } from "../../../automation/agent/replay.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { startCitadel } from "../../../sandbox/citadel/server.ts";
import { runCli } from "../../cli/run-cli.ts";

const TENANT = "22222222-2222-4222-8222-222222222222";

const text = (value: string) =>
  Buffer.concat([Buffer.from([0xd9, value.length]), Buffer.from(value)]);
/** The bytes that Fluent Bit 5.1.1 writes: `[[time, {}], {message, fields: {k8s: {tenant}}}]`. */
const RECORD = Buffer.concat([
  Buffer.from([0x92, 0x92, 0xd7, 0x00, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x82]),
  ...[text("message"), text("hello"), text("fields"), Buffer.from([0x81])],
  ...[text("k8s"), Buffer.from([0x81]), text("tenant"), text(TENANT)],
]);
const chunk = (content: Buffer) => {
  const header = Buffer.alloc(24);
  header[0] = 0xc1;
  header.writeUInt32BE(content.length, 10);
  // Fluent Bit allocates more than the content; the rest of the file is zeros.
  return Buffer.concat([header, content, Buffer.alloc(100)]);
};

const report = (counts: Partial<Awaited<ReturnType<typeof replayRejected>>>) => ({
  files: 1,
  accepted: 0,
  refused: 0,
  orphaned: 0,
  ...counts,
});

describe("the replay of rejected chunks", () => {
  it("reads each event with its tenant", () => {
    const events = readRejectedChunk(chunk(Buffer.concat([RECORD, RECORD])));
    assert.equal(events.length, 2);
    assert.equal(events[0]?.tenant, TENANT);
    assert.equal(events[0]?.event.message, "hello");
  });

  it("reads an event with the key __proto__", () => {
    const fields = { k8s: { tenant: TENANT }, ["__proto__"]: { polluted: true } };
    const record = encode([[1, {}], { message: "hello", fields }]);
    const [read] = readRejectedChunk(chunk(Buffer.from(record)));
    assert.deepEqual(read?.event.fields?.["[__proto__]"], { polluted: true });
    assert.equal(Reflect.get({}, "polluted"), undefined);
  });

  it("refuses other files, truncated ones, and events without a tenant", () => {
    assert.throws(() => readRejectedChunk(Buffer.from("hello")), /C1 00/);
    assert.throws(() => readRejectedChunk(chunk(RECORD.subarray(0, 30))), /middle of a record/);
    const record = encode([[1, {}], { message: "hello", fields: {} }]);
    assert.throws(() => readRejectedChunk(chunk(Buffer.from(record))), /not an event of the agent/);
  });

  it("deletes a file only once Citadel has accepted all its events", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-rejected-"));
    await writeFile(join(folder, "a.flb"), chunk(RECORD));
    const left = () => readdir(folder);
    const down = { ingest: () => Promise.reject(new Error("down")) };
    await assert.rejects(replayRejected(folder, down), /down/);
    assert.deepEqual(await left(), ["a.flb"]);
    const never = {
      ingest: () => Promise.resolve({ accepted: 0, refused: [{ index: 0, reason: "x" }] }),
    };
    assert.deepEqual(await replayRejected(folder, never), report({ refused: 1 }));
    assert.deepEqual(await left(), ["a.flb"]);
    const good = { ingest: () => Promise.resolve({ accepted: 1, refused: [] }) };
    assert.deepEqual(await replayRejected(folder, good), report({ accepted: 1 }));
    assert.deepEqual(await left(), []);
    await rm(folder, { recursive: true });
  });

  it("sends the events of other projects although one was destroyed, and deletes its own if asked", async function () {
    this.timeout(60_000); // it starts the command twice
    const folder = await mkdtemp(join(tmpdir(), "rdev-rejected-"));
    const server = await startCitadel({ organization: "orchard9" });
    try {
      const citadel = new Citadel(server);
      const request = { slug: "alive", name: "alive", organization: "orchard9", metadata: {} };
      const { id } = await citadel.environments.create(request);
      const line = { message: "x", level: "info", service: "s", environment: "e", target: "t" };
      const timestamp = "2026-01-31T12:00:00.000Z";
      for (const [name, tenant] of [
        ["a.flb", TENANT],
        ["b.flb", id],
      ] as const) {
        const event = { ...line, timestamp, fields: { k8s: { tenant } } };
        await writeFile(join(folder, name), chunk(Buffer.from(encode([[1, {}], event]))));
      }
      const counts = report({ files: 2, accepted: 1, orphaned: 1 });
      assert.deepEqual(await replayRejected(folder, citadel), counts);
      assert.deepEqual(await readdir(folder), ["a.flb"]);

      const variables = { CITADEL_URL: server.url, CITADEL_API_KEY: server.apiKey };
      const kept = await runCli(["agent", "replay", folder], { variables });
      assert.equal(kept.code, 1, kept.stderr);
      assert.match(kept.stdout, /1 events for environments .*--discard-orphaned/);
      const discarded = await runCli(["agent", "replay", folder, "--discard-orphaned"], {
        variables,
      });
      assert.equal(discarded.code, 0, discarded.stderr);
      assert.match(discarded.stdout, /: deleted/);
      assert.deepEqual(await readdir(folder), []);
    } finally {
      await server.close();
      await rm(folder, { recursive: true });
    }
  });
});
