import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatPath,
  getAt,
  parsePath,
  startsWith,
  withAt,
} from "../../../sandbox/plugins/property-path.ts";

describe("property paths", () => {
  it("are written as the engine writes them", () => {
    const path = ["spec", "containers", 0, "env"];
    assert.equal(formatPath(path), "spec.containers[0].env");
    assert.equal(
      formatPath(["metadata", "labels", "app.kubernetes.io/name"]),
      'metadata.labels["app.kubernetes.io/name"]',
    );
  });

  it("are read back as they were written", () => {
    const part = fc.oneof(fc.string({ minLength: 1 }), fc.nat(1000));
    const path = fc.tuple(fc.string({ minLength: 1 }), fc.array(part));
    fc.assert(
      fc.property(path, ([first, rest]) => {
        assert.deepEqual(parsePath(formatPath([first, ...rest])), [first, ...rest]);
      }),
    );
  });

  it("refuses what is no path", () => {
    assert.throws(() => parsePath("spec[x]"), /"spec\[x\]" is not a property path/);
  });

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
