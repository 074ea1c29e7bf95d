import assert from "node:assert/strict";
import { parsePath } from "../../../core/engine-values.ts";
import { getAt, startsWith, withAt } from "../../../sandbox/plugins/property-path.ts";

describe("values at property paths", () => {
  it("knows what lies below, with a star for any one part", () => {
    const path = parsePath("spec.containers[1].image");
    assert.equal(startsWith(path, parsePath("spec.containers")), true);
    assert.equal(startsWith(path, parsePath("spec.containers[*].image")), true);
    assert.equal(startsWith(path, parsePath("spec.containers[0]")), false);
    assert.equal(startsWith(parsePath("spec"), path), false);
  });

  it("replaces and leaves out without touching the original", () => {
    const value = { list: [{ a: 1, b: 2 }], other: 3 };
    assert.deepEqual(withAt(value, ["list", 0, "a"], undefined), { list: [{ b: 2 }], other: 3 });
    assert.deepEqual(withAt(value, ["list", 0, "a"], 9), { list: [{ a: 9, b: 2 }], other: 3 });
    assert.deepEqual(withAt(value, ["new", "deep"], 1), { ...value, new: { deep: 1 } });
    assert.deepEqual(withAt(value, ["absent", "deep"], undefined), { ...value, absent: {} });
    assert.equal(getAt(value, ["list", 0, "a"]), 1);
  });
});
