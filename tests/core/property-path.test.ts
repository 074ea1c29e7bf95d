import assert from "node:assert/strict";
import fc from "fast-check";
import { formatPath, parsePath } from "../../core/property-path.ts";

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
});
