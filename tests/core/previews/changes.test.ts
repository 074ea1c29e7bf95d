import assert from "node:assert/strict";
import fc from "fast-check";
import { stackChanges } from "../../../core/previews/changes.ts";
import type { Step } from "../../../core/previews/step.ts";
import { DATABASE, DEPLOYMENT, SECRET, step, UNKNOWN } from "./steps.ts";

const TOKEN = "planted-token-4711";

function changed(...steps: Step[]) {
  return stackChanges(steps, [TOKEN]).changes;
}

function properties(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  type = "x:y:Z",
) {
  return changed(step(type, "update", before, after))[0]?.properties ?? [];
}

describe("stackChanges", () => {
  it("reports a replacement once, marks its cause, and counts unchanged resources", () => {
    const old = { name: "shop", size: 1 };
    const next = { name: "store", size: 2 };
    const all = (op: string) => step(DATABASE, op, old, next, { replaceKeys: ["name"] });
    const component = step("rdev:components:Database", "create", undefined, {}, { custom: false });
    const stack = step("pulumi:pulumi:Stack", "update", {}, {});
    const same = step(DEPLOYMENT, "same", old, old, { urn: "urn:pulumi:s::p::t::other" });
    const steps = [
      all("delete-replaced"),
      all("replace"),
      all("create-replacement"),
      component,
      stack,
    ];
    const { changes, unchanged } = stackChanges([...steps, same], []);
    assert.equal(unchanged, 1);
    assert.deepEqual(
      changes.map(({ op, name, properties: listed }) => [op, name, listed]),
      [
        [
          "replace",
          "shop",
          [
            { path: "name", kind: "update", replaces: true, old: "shop", new: "store" },
            { path: "size", kind: "update", replaces: false, old: "1", new: "2" },
          ],
        ],
      ],
    );
  });

  it("puts replacements and deletions first", () => {
    const op = (name: string) =>
      step("x:y:Z", name, {}, {}, { urn: `urn:pulumi:s::p::t::${name}` });
    const changes = changed(op("update"), op("create"), op("delete"), op("replace"));
    assert.deepEqual(
      changes.map((change) => change.op),
      ["replace", "delete", "create", "update"],
    );
  });

  it("uses the paths of the detailed diff, and reads each value from the side it names", () => {
    const [change] = changed(
      step(
        DEPLOYMENT,
        "update",
        { spec: { replicas: 1 } },
        { spec: { replicas: 2, paused: true } },
        {
          detailedDiff: {
            "spec.replicas": { diffKind: "update", inputDiff: true },
            "spec.paused": { diffKind: "add-replace", inputDiff: true },
            "no [path": { diffKind: "delete", inputDiff: false },
          },
        },
      ),
    );
    assert.deepEqual(change?.properties, [
      { path: "spec.replicas", kind: "update", replaces: false, old: "1", new: "2" },
      { path: "spec.paused", kind: "add", replaces: true, new: "true" },
      { path: '["no [path"]', kind: "delete", replaces: false },
    ]);
  });

  it("distinguishes list items, unknown values and types", () => {
    assert.deepEqual(properties({ a: [1], n: 1, u: "x" }, { a: [1, 2], n: "1", u: UNKNOWN }), [
      { path: "a[1]", kind: "add", replaces: false, new: "2" },
      { path: "n", kind: "update", replaces: false, old: "1", new: '"1"' },
      { path: "u", kind: "update", replaces: false, old: "x", new: "computed" },
    ]);
  });

  it("leaves out generated properties", () => {
    const before = {
      __provider: "a",
      metadata: { uid: "1", labels: { a: "1" } },
      status: { x: 1 },
    };
    const after = { __provider: "b", metadata: { uid: "2", labels: { a: "2" } }, status: { x: 2 } };
    assert.deepEqual(
      properties(before, after, DEPLOYMENT).map(({ path }) => path),
      ["metadata.labels.a"],
    );
  });

  it("leaves out only the image that CI has set", () => {
    const image = (name: string, replicas = 1) => ({
      spec: { replicas, template: { spec: { containers: [{ name: "app", image: name }] } } },
    });
    const looked = step(
      "pulumi-nodejs:dynamic/kubernetes:RunningImage",
      "update",
      { image: "placeholder" },
      { image: "shop:7" },
    );
    const sent = step(DEPLOYMENT, "update", image("placeholder"), image("shop:7"));
    assert.deepEqual(stackChanges([looked, sent], []), { changes: [], unchanged: 2 });
    const more = step(DEPLOYMENT, "update", image("placeholder"), image("shop:7", 2));
    assert.deepEqual(
      changed(looked, more)[0]?.properties.map(({ path }) => path),
      ["spec.replicas"],
    );
    const other = step(DEPLOYMENT, "update", image("placeholder"), image("stranger"));
    assert.equal(changed(looked, other).length, 1);
  });

  it("leaves out whether the image that CI has set comes up", () => {
    const waits = (skip: string) => ({
      metadata: { annotations: { "pulumi.com/skipAwait": skip } },
    });
    const looked = step(
      "pulumi-nodejs:dynamic/kubernetes:RunningImage",
      "update",
      { image: "shop:7", problem: "" },
      { image: "shop:7", problem: "pod shop-1: container app: ErrImagePull" },
    );
    const complete = step(
      "pulumi-nodejs:dynamic/kubernetes:RunningImage",
      "update",
      { image: "shop:7", problem: "", isRollingOut: true },
      { image: "shop:7", problem: "", isRollingOut: false },
    );
    const sent = step(DEPLOYMENT, "update", waits("false"), waits("true"));
    assert.deepEqual(stackChanges([looked, sent], []), { changes: [], unchanged: 2 });
    assert.deepEqual(stackChanges([complete, sent], []), { changes: [], unchanged: 2 });
    assert.equal(changed(sent).length, 1);
  });

  it("hides secrets by mark, by name, by connection and in URLs", () => {
    const after = {
      marked: SECRET,
      inside: { deep: [SECRET] },
      password: "hunter2",
      env: [{ name: "DB_PASSWORD", value: "hunter2" }],
      text: `before ${TOKEN} after`,
      url: "postgres://ada:hunter2@db/x",
      [TOKEN]: "as a name",
      long: `${"x".repeat(1_990)}${TOKEN}${"y".repeat(5_000)}`,
    };
    const shown = JSON.stringify(properties({}, after));
    assert.doesNotMatch(shown, /hunter2|planted|token-4711|W3NlY3/);
    assert.match(shown, /before \[secret\] after/);
    assert.match(shown, /postgres:\/\/ada:\[secret\]@db\/x/);
    const secret = properties({ data: { a: "aHVudGVyMg==" } }, {}, "kubernetes:core/v1:Secret");
    assert.deepEqual(secret[0]?.old, "[secret]");
    const nested = step(
      DEPLOYMENT,
      "update",
      { data: SECRET },
      { data: SECRET },
      {
        detailedDiff: { "data.key": { diffKind: "update", inputDiff: true } },
      },
    );
    assert.deepEqual(changed(nested)[0]?.properties, [
      { path: "data.key", kind: "update", replaces: false, old: "[secret]", new: "[secret]" },
    ]);
  });

  it("lists the secrets of an update in which nothing else differs", () => {
    const same = { name: "shop", password: SECRET };
    assert.deepEqual(properties(same, same), [
      { path: "password", kind: "update", replaces: false, old: "[secret]", new: "[secret]" },
    ]);
  });

  it("cuts a diff of 10 MB and keeps its first difference visible", () => {
    const text = "same ".repeat(2_000_000);
    const begin = performance.now();
    const [shown] = properties({ text }, { text: text.replace(/same same $/, "same OTHER ") });
    assert.ok(performance.now() - begin < 5_000);
    assert.ok((shown?.old?.length ?? 0) <= 2_000 && (shown?.new?.length ?? 0) <= 2_000);
    assert.match(shown?.new ?? "", /OTHER/);
    const wide = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index]),
    );
    const [change] = changed(step("x:y:Z", "update", {}, wide));
    assert.deepEqual([change?.properties.length, change?.moreProperties], [200, 4_800]);
  });

  it("shows properties with names that every object inherits", () => {
    assert.deepEqual(properties({}, { toString: "x" }), [
      { path: "toString", kind: "add", replaces: false, new: "x" },
    ]);
  });

  it("never shows a marked secret at any depth", () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        fc.string(),
        fc.constant({ ...SECRET, ciphertext: "planted" }),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie("value"), { maxKeys: 3 }),
      ),
    })).value;
    const bag = fc.dictionary(fc.string(), value);
    fc.assert(
      fc.property(bag, bag, (before, after) => {
        assert.doesNotMatch(JSON.stringify(properties(before, after)), /planted/);
      }),
    );
  });
});
