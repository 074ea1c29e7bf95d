import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import fastify, { type FastifyInstance } from "fastify";
import { Citadel } from "../../../providers/citadel/client.ts";
import { type CitadelEvent, IngestError } from "../../../providers/citadel/port.ts";

const TENANT = "0d3b4f6e-6d3c-4f5a-9d3e-2f1a0b9c8d7e";
const SOME_TIME = "2026-01-31T12:00:00.000Z";

const events = (count: number): CitadelEvent[] =>
  Array.from({ length: count }, (_, at) => ({
    message: `${at}`,
    level: "info",
    timestamp: SOME_TIME,
    service: "s",
    environment: "e",
    target: "t",
  }));

/** Uses a server whose answers each test sets. */
describe("ingest", () => {
  let app: FastifyInstance;
  let citadel: Citadel;
  /** The messages of each request. */
  let bodies: string[][];
  let sizes: number[];
  let encodings: (string | undefined)[];
  let answer: (messages: string[]) => number | Promise<number>;

  beforeEach(async () => {
    bodies = [];
    sizes = [];
    encodings = [];
    answer = () => 202;
    app = fastify({ forceCloseConnections: true, bodyLimit: 64 * 1024 * 1024 });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) =>
      done(null, body),
    );
    app.post("/api/v1/ingest", async ({ body, headers }, reply) => {
      const encoding = headers["content-encoding"];
      encodings.push(encoding);
      sizes.push((body as Buffer).length);
      const blob = new Blob([body as Uint8Array<ArrayBuffer>]);
      const plain = encoding
        ? await new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).text()
        : await blob.text();
      const messages = (JSON.parse(plain) as CitadelEvent[]).map(({ message }) => message);
      bodies.push(messages);
      return reply.code(await answer(messages)).send();
    });
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    citadel = new Citadel({ url, apiKey: "ck_test_key" });
  });
  afterEach(() => app.close());

  const taken = () => bodies.flat();

  it("sends at most 100 events at once, in order, and nothing for an empty list", async () => {
    assert.deepEqual(await citadel.ingest(TENANT, events(250)), { accepted: 250, refused: [] });
    assert.deepEqual(
      bodies.map(({ length }) => length),
      [100, 100, 50],
    );
    assert.deepEqual(
      taken(),
      events(250).map(({ message }) => message),
    );
    bodies = [];
    assert.deepEqual(await citadel.ingest(TENANT, []), { accepted: 0, refused: [] });
    assert.equal(bodies.length, 0);
  });

  it("stays under 4 MiB, counted in UTF-8", async () => {
    const large = events(40).map((event) => ({ ...event, message: "€".repeat(80_000) }));
    assert.equal((await citadel.ingest(TENANT, large, { deadline: 30_000 })).accepted, 40);
    assert.equal(bodies.length, 3);
    for (const size of sizes) assert(size < 4 * 1024 * 1024, `${size}`);
  });

  it("compresses only when asked", async () => {
    await citadel.ingest(TENANT, events(1));
    await citadel.ingest(TENANT, events(100), { gzip: true });
    assert.deepEqual(encodings, [undefined, "gzip"]);
    assert.equal(bodies[1]?.length, 100);
    assert((sizes[1] ?? 0) < 2000);
  });

  for (const status of [400, 413, 422]) {
    it(`finds by halves the events for which a batch is answered ${status}`, async () => {
      const accepted: string[] = [];
      answer = (messages) => {
        if (messages.some((message) => message === "17" || message === "180")) return status;
        accepted.push(...messages);
        return 202;
      };
      const report = await citadel.ingest(TENANT, events(200));
      assert.equal(report.accepted, 198);
      assert.deepEqual(
        report.refused.map(({ index }) => index),
        [17, 180],
      );
      assert.match(report.refused[0]?.reason ?? "", new RegExp(`^RDEV_.*${status}`));
      const wanted = events(200).map(({ message }) => message);
      assert.deepEqual(
        accepted,
        wanted.filter((message) => !["17", "180"].includes(message)),
      );
    });
  }

  it("reports what was delivered before a batch failed", async () => {
    answer = (messages) => (messages.includes("150") ? 500 : 202);
    const error: unknown = await citadel
      .ingest(TENANT, events(300))
      .catch((thrown: unknown) => thrown);
    assert(error instanceof IngestError);
    assert.equal(error.code, "RDEV_UNREACHABLE");
    assert.equal(error.done, 100);
    assert.deepEqual(error.report, { accepted: 100, refused: [] });
    assert.equal(bodies.length, 2);
  });

  it("has one deadline for all batches", async () => {
    answer = async () => {
      await sleep(150);
      return 202;
    };
    const started = performance.now();
    const error: unknown = await citadel
      .ingest(TENANT, events(10), { batchSize: 1, deadline: 400 })
      .catch((thrown: unknown) => thrown);
    assert(error instanceof IngestError, String(error));
    assert.equal(error.code, "RDEV_DEADLINE");
    assert(error.done >= 1 && error.done <= 2, `${error.done}`);
    assert(performance.now() - started < 2000);
  });
});
