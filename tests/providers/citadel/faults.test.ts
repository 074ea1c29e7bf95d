import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type ErrorCode, InfraError } from "../../../core/errors.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { type CitadelEvent, IngestError } from "../../../providers/citadel/port.ts";
import type { Fault } from "../../../sandbox/misbehave.ts";
import { type Citadel as Server, startCitadel } from "../../../sandbox/citadel/server.ts";
import { rejected } from "../../support/errors.ts";

const EVENT: CitadelEvent = {
  message: "m",
  level: "info",
  timestamp: "2026-01-31T12:00:00.000Z",
  service: "s",
  environment: "e",
  target: "t",
};

/** In ms. The pauses between retries are shorter than this. */
const DEADLINE = 500;
const SLOW = 20_000;

/** The calls for which only the status of the answer counts. */
const ONLY_STATUS = {
  "environments.rename": "done",
  "environments.delete": "done",
  "groups.put": "done",
  "groups.add": "done",
  "groups.remove": "done",
  ingest: "done",
  annotate: "done",
} as const;

describe("Citadel's adapter with a failing server", () => {
  const organization = "orchard9";
  let server: Server;
  let citadel: Citadel;
  let id: string;

  before(async () => {
    server = await startCitadel({ organization });
    citadel = new Citadel(server, { deadline: DEADLINE });
    const metadata = {};
    ({ id } = await citadel.environments.create({
      slug: "there",
      name: "There",
      organization,
      metadata,
    }));
    await citadel.groups.put("projects");
  });
  after(() => server.close());
  afterEach(() => server.misbehave(undefined));

  const query = () => citadel.query({ tenant: id }, "level:error");
  const tail = async () => {
    for await (const _ of await citadel.tail({ tenant: id }, "level:error"));
  };
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    "environments.list": () => citadel.environments.list(),
    "environments.get": () => citadel.environments.get(id),
    "environments.find": () => citadel.environments.find("there"),
    "environments.create": () =>
      citadel.environments.create({ slug: "new", name: "New", organization, metadata: {} }),
    "environments.rename": () => citadel.environments.rename(id, "Renamed"),
    "environments.mark": () => citadel.environments.mark(id, { project: "another" }),
    // A new one, because the request may have had its effect before the fault.
    "environments.delete": () => citadel.environments.delete(randomUUID()),
    "groups.put": () => citadel.groups.put("projects"),
    "groups.members": () => citadel.groups.members("projects"),
    "groups.add": () => citadel.groups.add("projects", id),
    "groups.remove": () => citadel.groups.remove("projects", id),
    "webhooks.list": () => citadel.webhooks.list(),
    "webhooks.register": () =>
      citadel.webhooks.register({ url: "https://a.test", secret: "planted-webhook-secret" }),
    ingest: () => citadel.ingest(id, [EVENT], { deadline: DEADLINE }),
    query,
    tail,
    annotate: () => citadel.annotate({ logId: "1", content: "c" }),
  };

  const json = { "content-type": "application/json" };
  /** The fault of every call, and the error that it must lead to. */
  const faults: readonly (Fault & {
    readonly name: string;
    readonly code: ErrorCode;
    readonly but?: Readonly<Partial<Record<string, ErrorCode | "refused" | "done">>>;
    readonly retryAfter?: number;
  })[] = [
    { name: "slow", delayMs: SLOW, code: "RDEV_DEADLINE" },
    { name: "401", status: 401, body: '{"error":"no"}', code: "RDEV_UNAUTHORIZED" },
    { name: "403", status: 403, body: '{"error":"no"}', code: "RDEV_FORBIDDEN" },
    { name: "413", status: 413, code: "RDEV_TOO_LARGE", but: { ingest: "refused" } },
    {
      name: "429 with Retry-After",
      status: 429,
      headers: { "retry-after": "60" },
      code: "RDEV_RATE_LIMITED",
      retryAfter: 60_000,
    },
    {
      name: "429 with retry_after in its body",
      status: 429,
      headers: json,
      body: '{"error":"slow down","retry_after":90}',
      code: "RDEV_RATE_LIMITED",
      retryAfter: 90_000,
    },
    { name: "500", status: 500, body: "<html>oops</html>", code: "RDEV_UNREACHABLE" },
    {
      name: "503 with Retry-After",
      status: 503,
      headers: { "retry-after": "60" },
      code: "RDEV_UNREACHABLE",
      retryAfter: 60_000,
    },
    { name: "a reset", reset: true, code: "RDEV_UNREACHABLE" },
    {
      name: "half of a JSON",
      status: 200,
      headers: json,
      body: '{"tenants":[{"id":"',
      code: "RDEV_CONTRACT",
      but: ONLY_STATUS,
    },
    {
      name: "a page of a proxy",
      status: 200,
      headers: { "content-type": "text/html" },
      body: "<html>Welcome</html>",
      code: "RDEV_CONTRACT",
      but: ONLY_STATUS,
    },
  ];

  for (const { name, code, but = {}, retryAfter, ...fault } of faults) {
    describe(name, () => {
      for (const [call, run] of Object.entries(calls)) {
        const wanted = but[call] ?? code;
        it(`${call}: ${wanted}`, async () => {
          server.misbehave(fault);
          if (wanted === "done") return void (await run());
          if (wanted === "refused") {
            const { accepted, refused } = await citadel.ingest(id, [EVENT, EVENT]);
            assert.equal(accepted, 0);
            assert.deepEqual(
              refused.map(({ index, reason }) => [index, reason.startsWith(code)]),
              [
                [0, true],
                [1, true],
              ],
            );
            return;
          }
          const started = performance.now();
          const error = await rejected(run(), /./);
          assert(performance.now() - started < 5000, "it waited beyond its deadline");
          assert(error instanceof InfraError, String(error));
          assert.equal(error.code, wanted, error.message);
          assert.equal(error.retryAfter, retryAfter);
          assert.doesNotMatch(`${error.stack} ${error.message}`, new RegExp(server.apiKey));
          assert.doesNotMatch(`${error.stack}`, /planted/);
          if (call === "ingest") assert(error instanceof IngestError);
        });
      }
    });
  }

  describe("an answer cut in half", () => {
    for (const [call, run] of Object.entries(calls)) {
      // Their answer has no body that could be cut.
      const empty = /groups\.(add|remove)|environments\.delete/.test(call);
      if (empty) continue;
      it(`${call}: RDEV_UNREACHABLE`, async () => {
        if (call === "annotate") await citadel.ingest(id, [EVENT]);
        server.misbehave({ truncate: true });
        const error = await rejected(run(), /./);
        assert(error instanceof InfraError, String(error));
        assert.equal(error.code, "RDEV_UNREACHABLE", error.message);
      });
    }
  });

  describe("a temporary fault", () => {
    const patient = () => new Citadel(server);

    it("waits as long as Retry-After or the body says", async () => {
      for (const fault of [
        { headers: { "retry-after": "1" } },
        { headers: json, body: '{"error":"slow down","retry_after":1}' },
      ]) {
        server.misbehave({ status: 429, ...fault, times: 1 });
        const started = performance.now();
        assert.equal((await patient().ingest(id, [EVENT])).accepted, 1);
        assert(performance.now() - started > 950, "it did not wait");
      }
    });

    for (const fault of [{ status: 503 }, { reset: true }, { truncate: true }]) {
      it(`reads again after ${Object.entries(fault).join()}`, async () => {
        server.misbehave({ ...fault, times: 2 });
        assert.equal((await patient().query({ tenant: id }, "level:error")).total, 0);
      });

      it(`does not ingest again by itself after ${Object.entries(fault).join()}`, async () => {
        server.misbehave({ ...fault, times: 1 });
        await rejected(patient().ingest(id, [EVENT]), /Citadel/);
      });
    }
  });

  it("refuses a key with a line break, with white space or of another system, without showing it", async () => {
    for (const apiKey of [
      "ck_live_planted\n",
      "ck_live_planted\r\nX-Tenant-ID: a",
      "ck_pl anted",
      "planted",
      "ck_",
      "ck_plantedé",
    ]) {
      assert.throws(
        () => new Citadel({ ...server, apiKey }),
        (error: InfraError) =>
          error.code === "RDEV_CONNECTION" &&
          /CITADEL_API_KEY/.test(error.message) &&
          !/planted/.test(String(error.stack)),
      );
    }
  });

  it("refuses an invalid tenant id or group name before any request", async () => {
    server.misbehave({ reset: true });
    for (const bad of ["", "there", "../tenants", `${id}\r\nX: y`, `${id}0`, "*"]) {
      for (const call of [
        citadel.ingest(bad, [EVENT]),
        citadel.query({ tenant: bad }, "level:error"),
        citadel.tail({ tenant: bad }, "level:error"),
        citadel.query({ group: `${bad}\r\nX: y` }, "level:error"),
        citadel.environments.get(bad),
        citadel.environments.rename(bad, "x"),
        citadel.environments.delete(bad),
        citadel.groups.add("projects", bad),
        citadel.groups.remove("projects", bad),
      ]) {
        await assert.rejects(call, { code: "RDEV_TENANT" });
      }
    }
  });
});
