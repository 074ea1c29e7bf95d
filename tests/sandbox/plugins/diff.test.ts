import assert from "node:assert/strict";
import { changedInputs, changesBetween } from "../../../sandbox/plugins/diff.ts";
import { formatPath } from "../../../core/engine-values.ts";
import { UNKNOWN, type Json, type Properties } from "../../../sandbox/plugins/values.ts";

function changes(before: Json, after: Json): Record<string, string> {
  const found = changesBetween(before, after);
  return Object.fromEntries(found.map(({ path, kind }) => [formatPath(path), kind]));
}

describe("diff", () => {
  it("names the deepest property that changed, and how", () => {
    const before = { spec: { replicas: 1, paused: true, list: [{ image: "a" }] } };
    const after = { spec: { replicas: 2, list: [{ image: "b" }, { image: "c" }], extra: {} } };
    assert.deepEqual(changes(before, after), {
      "spec.replicas": "update",
      "spec.paused": "delete",
      "spec.list[0].image": "update",
      "spec.list[1]": "add",
      "spec.extra": "add",
    });
  });

  it("takes null for absent, and ignores the order of names", () => {
    assert.deepEqual(changes({ a: null, b: 1, c: 2 }, { c: 2, b: 1 }), {});
  });

  it("takes a value that is not known yet for a change", () => {
    assert.deepEqual(changes({ a: { b: 1 } }, { a: UNKNOWN }), { a: "update" });
  });

  it("leaves out what the program ignores, and all below it", () => {
    const before: Properties = { spec: { list: [{ image: "a", name: "x" }], replicas: 1 } };
    const after: Properties = { spec: { list: [{ image: "b", name: "y" }], replicas: 1 } };
    const left = changedInputs(before, after, ["spec.list[*].image"]);
    assert.deepEqual(
      left.map(({ path }) => formatPath(path)),
      ["spec.list[0].name"],
    );
    assert.deepEqual(changedInputs(before, after, ["spec"]), []);
  });
});
