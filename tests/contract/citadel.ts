import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { InfraError } from "../../core/errors.ts";
import { markOf } from "../../core/ownership.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import type {
  CitadelEvent,
  Entry,
  Environment,
  QueryResult,
  Scope,
} from "../../providers/citadel/port.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { PLAN_QUERIES, planEvents, type Whose } from "./plan.ts";
import { testOwner } from "../support/owner.ts";

export interface Target {
  readonly url: string;
  /** A key with all rights. */
  readonly apiKey: string;
  /** A key that may only ingest. Without it, its missing rights are not tested. */
  readonly agentKey?: string | undefined;
  readonly organization: string;
  /** Allows tests that leave something behind, because Citadel's API cannot delete a webhook. */
  readonly throwaway: boolean;
}

/** Remains on a real Citadel, empty, because its API cannot delete a group. */
const GROUP = "rdev-contract-test";
/** In ms. A real Citadel may need a while until a query finds new events. */
const PATIENCE = 60_000;

/** Declares the tests of this project's assumptions about Citadel. They delete the tenants they create. */
export function itKeepsTheContract(target: () => Target): void {
  const made: string[] = [];
  let citadel: Citadel;

  const make = async (slug = uniqueSlug()): Promise<Environment> => {
    const { organization } = target();
    const metadata = { ...markOf(testOwner(slug)) };
    const created = await citadel.environments.create({
      slug,
      name: `Contract test ${slug}`,
      organization,
      metadata,
    });
    made.push(created.id);
    return created;
  };

  const event = (message: string, more: Partial<CitadelEvent> = {}): CitadelEvent => ({
    message,
    level: "info",
    timestamp: new Date().toISOString(),
    service: "contract",
    environment: "test",
    target: "suite",
    ...more,
  });

  /** Repeats the query until it finds `count` entries or the time is up. */
  const eventually = async (count: number, ask: () => Promise<QueryResult>) => {
    for (const end = Date.now() + PATIENCE; ; await sleep(1000)) {
      const result = await ask();
      if (result.total >= count || Date.now() > end) return result;
    }
  };

  before(() => {
    citadel = new Citadel(target());
  });
  after(async () => {
    const failed = await Promise.allSettled(made.map((id) => citadel.environments.delete(id)));
    assert.deepEqual(
      failed.filter(({ status }) => status === "rejected"),
      [],
    );
  });

  describe("environments", () => {
    it("can be created, found, listed, renamed and deleted", async () => {
      const tenant = await make();
      const { slug, id } = tenant;
      assert.deepEqual(tenant.metadata, markOf(testOwner(slug)));
      assert.equal(tenant.organization, target().organization);
      assert.deepEqual(await citadel.environments.get(id), tenant);
      assert.deepEqual(await citadel.environments.find(slug), tenant);
      assert.equal(await citadel.environments.find(slug, "another-organization"), undefined);
      assert((await citadel.environments.list()).some((each) => each.id === id));
      await citadel.environments.rename(id, "Ünder another näme");
      assert.deepEqual(await citadel.environments.get(id), {
        ...tenant,
        name: "Ünder another näme",
      });
      await citadel.environments.delete(id);
      await citadel.environments.delete(id);
      assert.equal(await citadel.environments.get(id), undefined);
      assert.equal(await citadel.environments.find(slug), undefined);
    });

    it("refuses a second environment with the same slug: RDEV_CONFLICT", async () => {
      const { slug } = await make();
      await rejects(make(slug), "RDEV_CONFLICT", 409);
    });

    it("refuses a bad slug", async () => {
      await rejects(make("Bad_Slug!"), "RDEV_REFUSED", 422);
    });

    it("refuses to rename an unknown environment: RDEV_TENANT", async () => {
      await rejects(citadel.environments.rename(randomUUID(), "x"), "RDEV_TENANT", 404);
    });
  });

  describe("groups", () => {
    it("can be created, joined and left any number of times", async () => {
      const { id } = await make();
      for (let twice = 2; twice > 0; twice -= 1) await citadel.groups.put(GROUP);
      for (let twice = 2; twice > 0; twice -= 1) await citadel.groups.add(GROUP, id);
      assert.deepEqual(
        (await citadel.groups.members(GROUP))?.filter((each) => each === id),
        [id],
      );
      for (let twice = 2; twice > 0; twice -= 1) await citadel.groups.remove(GROUP, id);
      assert.equal((await citadel.groups.members(GROUP))?.includes(id), false);
    });

    it("removes a deleted tenant from its groups", async () => {
      const { id } = await make();
      await citadel.groups.put(GROUP);
      await citadel.groups.add(GROUP, id);
      await citadel.environments.delete(id);
      assert.equal((await citadel.groups.members(GROUP))?.includes(id), false);
    });

    it("reports unknown groups", async () => {
      assert.equal(await citadel.groups.members(uniqueSlug()), undefined);
      await rejects(citadel.query({ group: uniqueSlug() }, "level:error"), "RDEV_TENANT", 404);
    });
  });

  describe("ingest", () => {
    it("stores events, and a query returns them complete, newest first", async () => {
      const { id } = await make();
      const now = Date.now();
      const first = event('first: ünïcode 😀 \u0001 "quoted"\nsecond line', {
        timestamp: new Date(now - 2000).toISOString(),
        level: "warn",
        fields: { text: "a b", number: 1.5, yes: true, nothing: null, list: [1, { a: "b" }] },
      });
      const second = event("second", { timestamp: new Date(now - 1000).toISOString() });
      const report = await citadel.ingest(id, [first, second]);
      assert.deepEqual(report, { accepted: 2, refused: [] });
      const { entries, total } = await eventually(2, () =>
        citadel.query({ tenant: id }, "service:contract"),
      );
      assert.equal(total, 2);
      assert.deepEqual(
        entries.map(({ message }) => message),
        [second.message, first.message],
      );
      const { id: entryId, traceId, ...entry } = entries[1] ?? ({} as Entry);
      assert(entryId);
      assert.equal(traceId, undefined);
      const { message, level, timestamp, service, fields, environment, target } = first;
      const metadata = { ...fields, environment, target };
      assert.deepEqual(entry, { message, level, timestamp, service, metadata });
    });

    it("stores more than one batch, in order, each event once", async () => {
      const { id } = await make();
      const start = Date.now() - 10_000;
      const events = Array.from({ length: 250 }, (_, at) =>
        event(`number ${at}`, { timestamp: new Date(start + at).toISOString() }),
      );
      assert.equal((await citadel.ingest(id, events)).accepted, 250);
      const { entries, total } = await eventually(250, () =>
        citadel.query({ tenant: id }, "service:contract", { limit: 500 }),
      );
      assert.equal(total, 250);
      assert.deepEqual(
        entries.toReversed().map(({ message }) => message),
        events.map(({ message }) => message),
      );
      const few = await citadel.query({ tenant: id }, "service:contract", { limit: 3 });
      assert.deepEqual([few.entries.length, few.total], [3, 250]);
    });

    it("stores events of one MiB, and sends more than 4 MiB in parts", async () => {
      const { id } = await make();
      const events = Array.from({ length: 40 }, () => event("€".repeat(1024 * 1024)));
      const { accepted } = await citadel.ingest(id, events, { deadline: 60_000 });
      assert.equal(accepted, 40);
    });

    it("loses only the bad event of a batch, and names it", async () => {
      const { id } = await make();
      const bad = [
        event("in the year 0", { timestamp: "0000-01-01T00:00:00.000Z" }),
        event("loud", { level: "loud" as "info" }),
      ];
      const events = [event("a"), bad[0]!, event("b"), bad[1]!, event("c")];
      const { accepted, refused } = await citadel.ingest(id, events);
      assert.equal(accepted, 3);
      assert.deepEqual(
        refused.map(({ index }) => index),
        [1, 3],
      );
      const { entries } = await eventually(3, () =>
        citadel.query({ tenant: id }, "service:contract"),
      );
      assert.deepEqual(entries.map(({ message }) => message).sort(), ["a", "b", "c"]);
    });

    it("refuses an unknown tenant: RDEV_TENANT", async () => {
      await rejects(citadel.ingest(randomUUID(), [event("lost")]), "RDEV_TENANT", 404);
    });
  });

  describe("the plan's queries", () => {
    const ids = new Map<Whose, string>();
    const everything = new Set<string>();

    before(async () => {
      for (const whose of ["platform", "project", "outsider"] as const) {
        const { id } = await make();
        ids.set(whose, id);
        const events = planEvents(whose);
        for (const { message } of events) everything.add(message);
        assert.equal((await citadel.ingest(id, events)).accepted, events.length);
        // Once the last event of a batch is found, all others are stored too.
        const last = events.at(-1)?.message ?? "";
        const quoted = `"${last}"`;
        await eventually(1, () => citadel.query({ tenant: id }, quoted, { range: "24h" }));
      }
      await citadel.groups.put(GROUP);
      await citadel.groups.add(GROUP, ids.get("project") ?? "");
    });

    for (const { cpl, scope, last, finds } of PLAN_QUERIES) {
      it(`${cpl} (${scope}${last ? `, ${last}` : ""})`, async () => {
        const scopes: Record<typeof scope, Scope> = {
          platform: { tenant: ids.get("platform") ?? "" },
          project: { tenant: ids.get("project") ?? "" },
          group: { group: GROUP },
          organization: "organization",
        };
        const range = last && { range: last };
        const { entries } = await citadel.query(scopes[scope], cpl, { limit: 500, ...range });
        // A real organization has other logs too.
        const found = entries.map(({ message }) => message).filter((each) => everything.has(each));
        assert.deepEqual(found.sort(), [...finds].sort());
      });
    }

    it("refuses invalid CPL with its position: RDEV_QUERY", async () => {
      const tenant = ids.get("platform") ?? "";
      const error = await rejects(
        citadel.query({ tenant }, "level:error AND (component:"),
        "RDEV_QUERY",
        400,
      );
      assert.equal(typeof error.position, "number");
      assert.match(error.message, /\n {2}level:error AND \(component:\n {2} *\^$/);
    });

    it("refuses a limit or a range that Citadel does not have", async () => {
      const scope = { tenant: ids.get("platform") ?? "" };
      await rejects(citadel.query(scope, "level:error", { range: "1 hour" }), "RDEV_QUERY", 400);
      await rejects(citadel.query(scope, "level:error", { limit: 501 }), "RDEV_QUERY", 400);
    });
  });

  describe("the live tail", () => {
    it("yields matching entries as they arrive, and continues after an id", async () => {
      const { id } = await make();
      const stop = new AbortController();
      const scope = { tenant: id };
      const tail = await citadel.tail(scope, "level:error", { signal: stop.signal });
      await citadel.ingest(id, [
        event("not this"),
        event("one", { level: "error" }),
        event("two", { level: "error" }),
      ]);
      const got = await take(tail, 2);
      assert.deepEqual(
        got.map(({ message }) => message),
        ["one", "two"],
      );
      stop.abort();
      await citadel.ingest(id, [event("three", { level: "error" })]);
      const again = new AbortController();
      const lastEventId = got[0]?.id ?? "";
      const rest = await citadel.tail(scope, "level:error", { signal: again.signal, lastEventId });
      assert.deepEqual(
        (await take(rest, 2)).map(({ message }) => message),
        ["two", "three"],
      );
      again.abort();
    });

    it("refuses invalid CPL", async () => {
      await rejects(citadel.tail("organization", "level:"), "RDEV_QUERY", 400);
    });
  });

  describe("webhooks and annotations", () => {
    it("registers a webhook once, and lists it without its secret", async function () {
      if (!target().throwaway) this.skip();
      const url = `https://alerts.example.test/${uniqueSlug()}`;
      for (const secret of ["planted-secret-number-one", "planted-secret-number-two"]) {
        assert.equal((await citadel.webhooks.register({ url, secret })).url, url);
      }
      const all = await citadel.webhooks.list();
      assert.equal(all.filter((each) => each.url === url).length, 1);
      assert(!JSON.stringify(all).includes("planted"));
    });

    it("lists webhooks", async () => {
      assert(Array.isArray(await citadel.webhooks.list()));
    });

    it("adds a note to a log entry", async () => {
      const { id } = await make();
      await citadel.ingest(id, [event("to be noted")]);
      const { entries } = await eventually(1, () =>
        citadel.query({ tenant: id }, "service:contract"),
      );
      await citadel.annotate({ logId: entries[0]?.id ?? "", content: "seen \ud800" });
    });
  });

  describe("keys", () => {
    it("refuses a wrong key without showing it: RDEV_UNAUTHORIZED", async () => {
      const apiKey = `ck_live_${randomUUID()}`;
      const error = await rejects(
        new Citadel({ ...target(), apiKey }).environments.list(),
        "RDEV_UNAUTHORIZED",
        401,
      );
      assert(!`${error.stack}`.includes(apiKey));
    });

    it("allows an ingest-only key nothing else: RDEV_FORBIDDEN", async function () {
      const { agentKey } = target();
      if (agentKey === undefined) return this.skip();
      const agent = new Citadel({ ...target(), apiKey: agentKey });
      const { id } = await make();
      assert.equal((await agent.ingest(id, [event("by the agent")])).accepted, 1);
      await rejects(agent.environments.list(), "RDEV_FORBIDDEN", 403);
      await rejects(agent.query({ tenant: id }, "level:error"), "RDEV_FORBIDDEN", 403);
      await rejects(agent.tail({ tenant: id }, "level:error"), "RDEV_FORBIDDEN", 403);
    });
  });
}

async function rejects(
  work: Promise<unknown>,
  code: InfraError["code"],
  status: number,
): Promise<InfraError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert(error instanceof InfraError, `no InfraError: ${String(error)}`);
  assert.deepEqual([error.code, error.status], [code, status], error.message);
  return error;
}

async function take(tail: AsyncIterable<Entry>, count: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of tail) {
    entries.push(entry);
    if (entries.length === count) break;
  }
  return entries;
}
