import assert from "node:assert/strict";
import fc from "fast-check";
import { type DriftChange, FIX_POLICIES, isPermitted, sinceFirstSeen } from "../../core/drift.ts";
import { driftOf, FOREIGN_FIELDS } from "../../core/drift-finding.ts";
import type { Step } from "../../core/previews/step.ts";
import { DATABASE, DEPLOYMENT, SECRET, step } from "./previews/steps.ts";

const TOKEN = "planted-token-4711";
const RUNNING_IMAGE = "pulumi-nodejs:dynamic/kubernetes:RunningImage";
const DNS = "pulumi-nodejs:dynamic/dns:Record";

/** What a resource's server says: `live` is missing if the object is gone. */
const server = (type: string, before: Record<string, unknown>, live?: Record<string, unknown>) =>
  step(type, "refresh", before, live);
/** What the program would then do. */
const plan = step;

const find = (refreshed: Step[], planned: Step[]) => driftOf(refreshed, planned, [TOKEN]);
const replicas = (count: number, image = "app:1") => ({
  spec: { replicas: count, template: { spec: { containers: [{ image }] } } },
  status: { readyReplicas: count },
});

describe("driftOf", () => {
  it("names what differs on the server, with the recorded and the live value", () => {
    const [before, live] = [replicas(1), replicas(3)];
    const { changes, fixableBy } = find(
      [server(DEPLOYMENT, before, live)],
      [plan(DEPLOYMENT, "update", live, before)],
    );
    assert.equal(fixableBy, "updates");
    assert.deepEqual(
      changes.map(({ op, name, properties }) => ({ op, name, properties })),
      [
        {
          op: "update",
          name: "shop",
          properties: [
            { path: "spec.replicas", kind: "update", replaces: false, old: "1", new: "3" },
          ],
        },
      ],
    );
  });

  it("leaves out what the program keeps: CI's image, an autoscaler's replicas, the status", () => {
    const before = replicas(1);
    const live = replicas(3, "app:2");
    const image = plan(RUNNING_IMAGE, "update", { image: "app:1" }, { image: "app:2" });
    assert.deepEqual(
      find([server(DEPLOYMENT, before, live)], [image, plan(DEPLOYMENT, "same", live, live)]),
      { changes: [], fixableBy: "nothing", planned: 0 },
    );
    // Only the number of pods is taken back.
    const { changes } = find(
      [server(DEPLOYMENT, before, live)],
      [image, plan(DEPLOYMENT, "update", live, replicas(1, "app:2"))],
    );
    assert.deepEqual(
      changes.flatMap(({ properties }) => properties.map(({ path }) => path)),
      ["spec.replicas"],
    );
  });

  it("leaves out what comes from a new version of the program, and fixes none of it by itself", () => {
    const state = { ttl: 300 };
    const unchanged = server(DNS, state, state);
    const newer = plan(DNS, "update", state, { ttl: 60 });
    assert.deepEqual(find([unchanged], [newer]), {
      changes: [],
      fixableBy: "nothing",
      planned: 1,
    });
    const drifted = find(
      [unchanged, server(DEPLOYMENT, replicas(1), replicas(3))],
      [newer, plan(DEPLOYMENT, "update", replicas(3), replicas(1))],
    );
    assert.deepEqual(
      [drifted.changes.map(({ type }) => type), drifted.fixableBy],
      [[DEPLOYMENT], "nothing"],
    );
  });

  it("permits to create what is gone, unless it held data, and never a replacement", () => {
    const gone = (type: string, op: string) =>
      find([server(type, { a: 1 })], [plan(type, op, undefined, { a: 1 })]);
    assert.equal(gone(DNS, "create").fixableBy, "repairs");
    assert.equal(gone(DATABASE, "create").fixableBy, "nothing");
    assert.deepEqual(
      gone(DATABASE, "create").changes.map(({ op, type }) => [op, type]),
      [["delete", DATABASE]],
    );
    const moved = find(
      [server(DNS, { a: 1 }, { a: 2 })],
      [plan(DNS, "replace", { a: 2 }, { a: 1 })],
    );
    assert.deepEqual([moved.changes.length, moved.fixableBy], [1, "nothing"]);
  });

  it("names fields that others hold in a Deployment, and the correction as fixable", () => {
    const text = "in generation 4, helm: spec.paused";
    const foreign = plan(FOREIGN_FIELDS, "update", { takenBack: "" }, { takenBack: text });
    const read = server(FOREIGN_FIELDS, { takenBack: "" }, { takenBack: "" });
    const annotated = { metadata: { annotations: { "rdev.io/taken-back": text } }, ...replicas(1) };
    const correction = plan(DEPLOYMENT, "update", replicas(1), annotated);
    const found = find([read, server(DEPLOYMENT, replicas(1), replicas(1))], [foreign, correction]);
    assert.deepEqual(
      [found.changes.map(({ type }) => type), found.fixableBy],
      [[FOREIGN_FIELDS], "updates"],
    );
  });

  it("shows no secret, neither a marked one nor one of a connection", () => {
    const before = { password: SECRET, note: "a" };
    const live = { password: SECRET, note: `b ${TOKEN}` };
    const found = find([server(DNS, before, live)], [plan(DNS, "update", live, before)]);
    assert.doesNotMatch(JSON.stringify(found), /planted|ciphertext/);
    assert.equal(found.changes[0]?.properties[0]?.new, "b [secret]");
  });

  it("permits by itself only updates, and creations of what is gone, of any plan", () => {
    const ops = fc.constantFrom("update", "create", "delete", "replace", "same");
    const resource = fc.record({
      type: fc.constantFrom(DNS, DATABASE, DEPLOYMENT),
      op: ops,
      live: fc.constantFrom("same", "differs", "gone"),
    });
    fc.assert(
      fc.property(fc.array(resource, { maxLength: 6 }), (resources) => {
        const named = resources.map(({ type, op, live }, index) => {
          const urn = `urn:pulumi:s::p::${type}::r${index}`;
          const after = live === "gone" ? undefined : { a: live === "same" ? 1 : 2 };
          return {
            type,
            op,
            live,
            refreshed: step(type, "refresh", { a: 1 }, after, { urn }),
            planned: step(type, op, after, op === "delete" ? undefined : { a: 1 }, { urn }),
          };
        });
        const { changes, fixableBy } = driftOf(
          named.map(({ refreshed }) => refreshed),
          named.map(({ planned }) => planned),
          [],
        );
        const acting = named.filter(({ op }) => op !== "same");
        if (fixableBy === "nothing") return;
        assert.ok(changes.length > 0);
        assert.ok(acting.every(({ live }) => live !== "same"));
        const allowed = fixableBy === "updates" ? ["update"] : ["update", "create"];
        assert.ok(acting.every(({ op }) => allowed.includes(op)));
        assert.ok(acting.every(({ op, type }) => op !== "create" || type !== DATABASE));
      }),
    );
  });
});

describe("the policy for fixes", () => {
  it("permits what it names and less, and what a person must decide never", () => {
    for (const needed of FIX_POLICIES) {
      for (const setting of FIX_POLICIES) {
        const isEnough = FIX_POLICIES.indexOf(setting) >= FIX_POLICIES.indexOf(needed);
        assert.equal(isPermitted(setting, needed), needed !== "nothing" && isEnough);
      }
    }
  });
});

describe("the time since when a change is known", () => {
  it("is that of the first look that found it without a break", () => {
    const change = (urn: string): DriftChange => ({
      op: "update",
      urn,
      type: DNS,
      name: urn,
      properties: [],
      moreProperties: 0,
      by: [],
    });
    const first = sinceFirstSeen([], [change("a")], "1");
    const second = sinceFirstSeen(first, [change("a"), change("b")], "2");
    assert.deepEqual(
      second.map(({ urn, since }) => [urn, since]),
      [
        ["a", "1"],
        ["b", "2"],
      ],
    );
    const third = sinceFirstSeen(second, [change("b")], "3");
    const fourth = sinceFirstSeen(third, [change("a")], "4");
    assert.deepEqual([third[0]?.since, fourth[0]?.since], ["2", "4"]);
  });
});
