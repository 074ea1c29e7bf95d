import assert from "node:assert/strict";
import fc from "fast-check";
import { spanMs } from "../../core/units.ts";
import type { Cpl } from "../../sandbox/citadel/cpl/ast.ts";
import { type Citadel, startCitadel } from "../../sandbox/citadel/server.ts";
import { CitadelCaller, logEvent } from "../support/citadel-caller.ts";
import { cpl, print } from "../support/cpl.ts";

const HOUR_MS = 3_600_000;

describe("queries of the stand-in for Citadel", () => {
  let citadel: Citadel;
  let caller: CitadelCaller;

  beforeEach(async () => {
    citadel = await startCitadel({ organization: "orchard9" });
    caller = new CitadelCaller(citadel);
  });
  afterEach(() => citadel.close());

  const ago = (hours: number) => ({
    timestamp: new Date(Date.now() - hours * HOUR_MS).toISOString(),
  });

  describe("of the plan, word for word", () => {
    let platform: Record<string, string>;
    let project: Record<string, string>;
    const group = { "x-tenant-group": "projects" };

    beforeEach(async () => {
      const ids = {
        platform: await caller.tenant("rdev-platform", "platform"),
        mine: await caller.tenant("my-project", "projects"),
        other: await caller.tenant("other", "projects"),
      };
      platform = { "x-tenant-id": ids.platform };
      project = { "x-tenant-id": ids.mine };
      await caller.ingest(ids.platform, [
        logEvent("build broke", {
          level: "error",
          fields: { component: "build", project_id: "my-project" },
        }),
        logEvent("build ran", { fields: { component: "build", project_id: "my-project-2" } }),
        logEvent("builder broke", { level: "error", fields: { component: "builder" } }),
        logEvent("saga undone", { fields: { component: "saga", result: "failure" } }),
        logEvent("saga done", { fields: { component: "saga", result: "success" } }),
        logEvent("job undone", { fields: { component: "job", result: "failure" } }),
        logEvent("slow page", { fields: { component: "http", duration_ms: 5001 } }),
        logEvent("slower page, in words", { fields: { component: "http", duration_ms: "10000" } }),
        logEvent("quick page", { fields: { component: "http", duration_ms: 5000 } }),
        logEvent("small but great as text", { fields: { component: "http", duration_ms: 9 } }),
        logEvent("no number", { fields: { component: "http", duration_ms: "slow" } }),
        logEvent("slow build", { fields: { component: "build", duration_ms: 90_000 } }),
        logEvent("created", {
          ...ago(72),
          fields: { action: "project.create", project_id: "my-project" },
        }),
        logEvent("created long ago", { ...ago(200), fields: { action: "project.create" } }),
        logEvent("deleted", { fields: { action: "project.delete" } }),
        logEvent("level:error is what it says", {}),
        logEvent("old error", { ...ago(2), level: "error" }),
      ]);
      await caller.ingest(ids.mine, [
        logEvent("mine broke", { level: "error", fields: { project_id: "my-project" } }),
        logEvent("mine ran"),
      ]);
      await caller.ingest(ids.other, [logEvent("other broke", { level: "error" })]);
    });

    it("level:error in the last hour", async () => {
      const found = await caller.found("level:error", platform, { range: "1h" });
      assert.deepEqual(found, ["build broke", "builder broke"]);
    });

    it("project_id:my-project", async () => {
      const found = await caller.found("project_id:my-project", platform, { range: "24h" });
      assert.deepEqual(found, ["build broke"]);
    });

    it("component:build level:error", async () => {
      assert.deepEqual(await caller.found("component:build level:error", platform), [
        "build broke",
      ]);
    });

    it("component:saga result:failure", async () => {
      assert.deepEqual(await caller.found("component:saga result:failure", platform), [
        "saga undone",
      ]);
    });

    it("duration_ms:>5000 component:http", async () => {
      const found = await caller.found("duration_ms:>5000 component:http", platform);
      assert.deepEqual(found, ["slow page", "slower page, in words"]);
    });

    it("action:project.create in the last 7 days", async () => {
      const found = await caller.found("action:project.create", platform, { range: "7d" });
      assert.deepEqual(found, ["created"]);
    });

    it("level:error of a project", async () => {
      assert.deepEqual(await caller.found("level:error", project, { range: "1h" }), ["mine broke"]);
    });

    it("level:error of the group projects", async () => {
      const found = await caller.found("level:error", group, { range: "1h" });
      assert.deepEqual(found, ["mine broke", "other broke"]);
    });

    it("project_id:my-project, org-wide", async () => {
      const found = await caller.found("project_id:my-project", {}, { range: "24h" });
      assert.deepEqual(found, ["build broke", "mine broke"]);
    });
  });

  it("applies time: in place of the default range", async () => {
    const id = await caller.tenant("my-app");
    const ages: [string, number][] = [
      ["now", 0],
      ["hours ago", 5],
      ["days ago", 50],
    ];
    await caller.ingest(
      id,
      ages.map(([message, hours]) => logEvent(message, ago(hours))),
    );
    assert.deepEqual(await caller.found("time:1h level:info"), ["now"]);
    assert.deepEqual(await caller.found("level:info"), ["hours ago", "now"]);
    assert.deepEqual(await caller.found("time:3d level:info"), ["days ago", "hours ago", "now"]);
    assert.deepEqual(await caller.found("time:3d", {}, { range: "6h" }), ["hours ago", "now"]);
    assert.deepEqual(await caller.found("NOT time:1h"), ["days ago", "hours ago"]);
    const noon = new Date(Date.now() - 20 * HOUR_MS).toISOString();
    assert.deepEqual(await caller.found(`timestamp:<${noon} time:3d`), ["days ago"]);
  });

  it("finds words in the message, in any case and any language", async () => {
    const id = await caller.tenant("my-app");
    await caller.ingest(id, [
      logEvent("Connection REFUSED by 100% of peers"),
      logEvent("Schöne GRÜSSE"),
      logEvent("nothing", { fields: { note: "refused" } }),
    ]);
    assert.deepEqual(await caller.found("refused"), ["Connection REFUSED by 100% of peers"]);
    assert.deepEqual(await caller.found('"0% OF"'), ["Connection REFUSED by 100% of peers"]);
    assert.deepEqual(await caller.found("grüsse"), ["Schöne GRÜSSE"]);
    assert.deepEqual(await caller.found("1%0"), []);
    assert.deepEqual(await caller.found("'; DROP TABLE events; --"), []);
  });

  it("finds nested values, lists by their JSON, and values of any length", async () => {
    const id = await caller.tenant("my-app");
    const long = "x".repeat(600);
    await caller.ingest(id, [
      logEvent("nested", { fields: { http: { status: 503 }, "http.path": "/" } }),
      logEvent("list", { fields: { tags: ["a", 1] } }),
      logEvent("long", { fields: { text: `${long}1` } }),
      logEvent("also long", { fields: { text: `${long}2` } }),
      logEvent("odd name", { fields: { 'a "b"': true, nothing: null } }),
    ]);
    assert.deepEqual(await caller.found("http.status:>=500 http.path:/"), ["nested"]);
    assert.deepEqual(await caller.found(String.raw`tags:"[\"a\",1]"`), ["list"]);
    assert.deepEqual(await caller.found(`text:${long}2`), ["also long"]);
    assert.deepEqual(await caller.found(String.raw`"a \"b\"":true nothing:null`), ["odd name"]);
    assert.equal((await caller.query("NOT unheard-of:x")).total, 5);
  });

  it("agrees with a reference implementation on random queries", async () => {
    const id = await caller.tenant("my-app");
    const values = ["a", "B", "5", "-1", "0.5", "failure"];
    const events = Array.from({ length: 60 }, (_, n) =>
      logEvent(`${values[n % 5]} ${n}`, {
        level: n % 3 === 0 ? "error" : "info",
        timestamp: new Date(Date.now() - n * HOUR_MS).toISOString(),
        fields: {
          ...(n % 2 === 0 && { x: values[n % 6] }),
          ...(n % 4 !== 0 && { y: n % 5 }),
          z: { x: n % 7 },
        },
      }),
    );
    await caller.ingest(id, events);
    const queries = cpl(fc.constantFrom(...values), {
      field: fc.constantFrom("x", "y", "z.x", "level", "service", "none"),
      value: fc.constantFrom(...values, "error", "rdev-api", "1", ""),
      number: fc.integer({ min: -2, max: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(queries, async (query) => {
        // What is just on the edge of a time may fall off between here and there.
        const expected = events.filter((event) => matches(query, event, Date.now()));
        const more = { range: "30d", limit: "500" };
        const { entries, total } = await caller.query(print(query), {}, more);
        assert.deepEqual(
          entries.map(({ message }) => message),
          expected.map(({ message }) => message),
          print(query),
        );
        assert.equal(total, expected.length);
      }),
      { numRuns: 200 },
    );
  });
});

interface Matchable {
  readonly message: string;
  readonly timestamp: string;
  readonly [name: string]: unknown;
}

/** What CPL means, said once more, with nothing of the stand-in's. */
function matches(query: Cpl, event: Matchable, now: number): boolean {
  switch (query.kind) {
    case "and":
      return query.terms.every((term) => matches(term, event, now));
    case "or":
      return query.terms.some((term) => matches(term, event, now));
    case "not":
      return !matches(query.term, event, now);
    case "word":
      return event.message.toLowerCase().includes(query.text.toLowerCase());
    case "time":
      return Date.parse(event.timestamp) >= now - (spanMs(query.range) ?? NaN);
    case "equals":
      return valueIn(event, query.field)?.toString() === query.value;
    case "compare": {
      const value = valueIn(event, query.field);
      if (value === undefined || !/^-?\d/.test(value.toString())) return false;
      const [one, other] = [Number(value), query.value];
      const { operator } = query;
      if (operator === ">" || operator === ">=")
        return one > other || (operator === ">=" && one === other);
      return one < other || (operator === "<=" && one === other);
    }
  }
}

function valueIn(event: Matchable, field: string): string | number | undefined {
  if (field === "level" || field === "service") return event[field] as string;
  return field
    .split(".")
    .reduce<unknown>(
      (found, name) => (found as Record<string, unknown> | undefined)?.[name],
      event["fields"],
    ) as string | number | undefined;
}
