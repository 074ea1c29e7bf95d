import assert from "node:assert/strict";
import fc from "fast-check";
import type { NumberedEventView } from "../../automation/service/schemas/operation.ts";
import { agoText, durationText, linkTarget, localTime } from "../../page/lib/format.ts";
import { addEvents, NO_PROGRESS, planOf } from "../../page/lib/progress.ts";
import {
  changeProjectsQuery,
  nextOrder,
  ORDERS,
  readProjectsQuery,
  STATUSES,
} from "../../page/lib/projects-query.ts";
import { matchPath } from "../../page/lib/paths.ts";
import { mayAct } from "../../page/lib/session.ts";
import { isCount } from "../../core/size-counts.ts";
import { SIZE_NAMES } from "../../core/size-rules.ts";
import { projectChanges, projectSizes } from "../../core/settings.ts";
import { DEFAULT_SIZES } from "../../core/sizes.ts";
import { checkSizes, type SizeName } from "../../page/lib/sizes.ts";

function event(number: number, inner: object): NumberedEventView {
  const at = new Date(number * 1_000).toISOString();
  return { number, at, event: inner as NumberedEventView["event"] };
}

const step = (kind: string, name: string, op: string, more: object = {}) => ({
  ...{ event: kind, urn: `urn:${name}`, type: "gitea:Repository", name, op, component: false },
  ...{ durationMs: 500, ...more },
});

describe("the page's progress of an operation", () => {
  const EVENTS = [
    event(1, { event: "state", state: "queued", attempts: 0 }),
    event(2, { event: "state", state: "running", attempts: 1 }),
    event(3, step("resourceStarted", "repo", "create")),
    event(4, step("resourceStarted", "cache", "update", { changed: ["rules"] })),
    event(5, step("resourceDone", "repo", "create")),
    event(6, step("resourceFailed", "cache", "update")),
    event(7, { event: "diagnostic", severity: "error", message: "<b>no</b>", urn: "urn:cache" }),
    event(8, { event: "state", state: "failed", attempts: 1 }),
  ];

  it("has each resource once, with its state, start and time", () => {
    const { steps, state, messages, last } = addEvents(NO_PROGRESS, EVENTS);
    assert.deepEqual([state, last, messages.length], ["failed", 8, 1]);
    assert.deepEqual(
      [...steps.values()].map(({ name, state, startMs, durationMs, changed }) => ({
        ...{ name, state, startMs, durationMs, changed },
      })),
      [
        { name: "repo", state: "done", startMs: 2_000, durationMs: 500, changed: [] },
        { name: "cache", state: "failed", startMs: 3_000, durationMs: 500, changed: ["rules"] },
      ],
    );
  });

  it("is the same however a connection cuts and repeats the events", () => {
    const whole = addEvents(NO_PROGRESS, EVENTS);
    const cuts = fc.array(fc.tuple(fc.nat(8), fc.nat(8)), { maxLength: 10 });
    fc.assert(
      fc.property(cuts, (pieces) => {
        let progress = NO_PROGRESS;
        for (const [back, length] of pieces) {
          const from = Math.max(0, progress.last - back);
          progress = addEvents(progress, EVENTS.slice(from, from + length));
        }
        assert.deepEqual(addEvents(progress, EVENTS), whole);
      }),
    );
  });

  it("shows a replacement once, and the plan by what would happen", () => {
    const plan = planOf(
      addEvents(NO_PROGRESS, [
        event(1, step("resourceStarted", "a", "create-replacement")),
        event(2, step("resourceDone", "a", "replace")),
        event(3, step("resourceDone", "a", "delete-replaced")),
        event(4, step("resourceDone", "b", "delete")),
        event(5, step("resourceDone", "c", "same")),
        event(6, step("resourceDone", "group", "create", { component: true })),
      ]),
    );
    const names = [...plan].map(([group, steps]) => [group, steps.map(({ name }) => name)]);
    assert.deepEqual(Object.fromEntries(names), { replace: ["a"], delete: ["b"], same: ["c"] });
  });
});

describe("the sizes in the form", () => {
  const text = fc.oneof(
    fc.constantFrom(
      "",
      "0",
      "1",
      "3",
      "21",
      "1.5",
      "-1",
      "x",
      "50m",
      "600m",
      "1e3",
      "300Mi",
      "2Gi",
    ),
    fc.constantFrom("999Gi", "1Ti", "1 Gi", "500", "501", "1000000"),
  );
  const texts = fc.record(
    Object.fromEntries(SIZE_NAMES.map((name) => [name, text])) as Record<SizeName, typeof text>,
    { requiredKeys: [] },
  );

  it("are wrong exactly if the service would refuse them", () => {
    const ceilings = { ...DEFAULT_SIZES, replicas: 5, cpuLimit: "1", memoryQuota: "2Gi" };
    const platform = { sizes: DEFAULT_SIZES, maxSizes: ceilings };
    const limits = { defaults: DEFAULT_SIZES, ceilings };
    fc.assert(
      fc.property(texts, (typed) => {
        const entries = Object.entries(typed)
          .filter(([, value]) => value !== "")
          .map(([name, value]) => [
            name,
            isCount(name as SizeName) && Number.isFinite(Number(value)) ? Number(value) : value,
          ]);
        const parsed = projectChanges.safeParse({ sizes: Object.fromEntries(entries) as unknown });
        const isRefused = () => {
          if (!parsed.success) return true;
          try {
            projectSizes(platform, { sizes: parsed.data.sizes ?? {} });
            return false;
          } catch {
            return true;
          }
        };
        const { problems, sizes } = checkSizes(typed, limits);
        assert.equal(problems.size > 0, isRefused(), JSON.stringify([...problems]));
        if (problems.size === 0 && parsed.success) assert.deepEqual(sizes, parsed.data.sizes);
      }),
    );
  });

  it("say what is wrong at the field", () => {
    const limits = { defaults: DEFAULT_SIZES, ceilings: { ...DEFAULT_SIZES, replicas: 5 } };
    const { problems } = checkSizes({ replicas: "5", cpuLimit: "x", podQuota: "0" }, limits);
    assert.deepEqual(Object.fromEntries(problems), {
      cpuLimit: "is not a Kubernetes quantity, such as 250m or 256Mi",
      podQuota: "is not a whole number from 1 to 500",
      memoryQuota: "1Gi is too small for 5 replicas, each with 256Mi",
      cpuQuota: "2 is too small for 5 replicas, each with 500m",
    });
  });
});

describe("the address of the list of projects", () => {
  it("says everything that the list shows", () => {
    const queries = fc.record(
      {
        search: fc.string({ maxLength: 100 }),
        status: fc.constantFrom("" as const, ...STATUSES),
        template: fc.constantFrom("" as const, "outdated" as const),
        sort: fc.constantFrom(...ORDERS),
        descending: fc.boolean(),
        cursor: fc.string(),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(queries, (query) => {
        const address = new URLSearchParams(changeProjectsQuery(query, { cursor: query.cursor }));
        assert.deepEqual(readProjectsQuery(new URLSearchParams(address.toString())), query);
      }),
    );
  });

  it("ignores what a person mistypes, and begins another list at its first page", () => {
    const query = readProjectsQuery(new URLSearchParams("status=broken&sort=x&cursor=abc"));
    assert.deepEqual([query.status, query.sort, query.cursor], ["", "slug", "abc"]);
    assert.deepEqual(changeProjectsQuery(query, { status: "ready" }), { status: "ready" });
    assert.deepEqual(nextOrder(query, "slug"), { sort: "slug", descending: true });
    assert.deepEqual(nextOrder(query, "changed"), { sort: "changed", descending: true });
  });
});

describe("the page's texts", () => {
  it("show durations and times as people say them", () => {
    const texts = [0, 850, 2_449, 65_000, 11_520_000].map(durationText);
    assert.deepEqual(texts, ["0 ms", "850 ms", "2.4 s", "1 min 05 s", "3 h 12 min"]);
    const now = Date.parse("2026-03-01T12:00:00Z");
    const ago = (ms: number) => agoText(new Date(now - ms).toISOString(), now);
    assert.deepEqual([1_000, 42_000, 300_000, 7_200_000, 172_800_000].map(ago), [
      "now",
      "42 s ago",
      "5 min ago",
      "2 h ago",
      "2 d ago",
    ]);
    assert.equal(ago(40 * 86_400_000), "2026-01-20");
    const time = new Date(2026, 0, 2, 3, 4, 5, 678).toISOString();
    assert.equal(localTime(time), "2026-01-02 03:04:05");
  });

  it("link only to addresses that run no script", () => {
    assert.equal(linkTarget("https://my-app.example.test/"), "https://my-app.example.test/");
    for (const text of ["javascript:alert(1)", "data:text/html,x", "//x", "x", 7, undefined]) {
      assert.equal(linkTarget(text), undefined, String(text));
    }
  });
});

describe("the page's paths and roles", () => {
  it("fill a pattern's names, and nothing else fits", () => {
    assert.deepEqual(matchPath("/projects/:slug", "/projects/my-app"), { slug: "my-app" });
    assert.deepEqual(matchPath("/projects", "/projects"), {});
    for (const path of ["/projects", "/projects/", "/projects/a/b", "/projects/%", "/x/my-app"]) {
      assert.equal(matchPath("/projects/:slug", path), undefined, path);
    }
  });

  it("take no part that would lead a call to another address", () => {
    for (const part of ["..%2fkeys", "..%2F..%2Fauth", "%2e%2e", "a%3Fb", "a%23b", "..", "a%5cb"]) {
      assert.equal(matchPath("/projects/:slug", `/projects/${part}`), undefined, part);
    }
  });

  it("show what the caller's grants allow", () => {
    const grants = [
      { role: "viewer" as const, project: null },
      { role: "admin" as const, project: "my-app" },
    ];
    const caller = { kind: "user" as const, actor: "user:alice (7)", grants };
    assert.deepEqual(
      [mayAct(caller, "viewer"), mayAct(caller, "operator"), mayAct(caller, "admin", "my-app")],
      [true, false, true],
    );
    assert.equal(mayAct(caller, "operator", "other"), false);
  });
});
