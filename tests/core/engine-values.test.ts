import assert from "node:assert/strict";
import fc from "fast-check";
import { formatPath, parsePath, typeText } from "../../core/engine-values.ts";

describe("a property path", () => {
  it("is formatted as the engine writes them", () => {
    const path = ["spec", "containers", 0, "env"];
    assert.equal(formatPath(path), "spec.containers[0].env");
    assert.equal(
      formatPath(["metadata", "labels", "app.kubernetes.io/name"]),
      'metadata.labels["app.kubernetes.io/name"]',
    );
  });

  it("is parsed back to the same path", () => {
    const part = fc.oneof(fc.string({ minLength: 1 }), fc.nat(1000));
    const path = fc.tuple(fc.string({ minLength: 1 }), fc.array(part));
    fc.assert(
      fc.property(path, ([first, rest]) => {
        assert.deepEqual(parsePath(formatPath([first, ...rest])), [first, ...rest]);
      }),
    );
  });

  it("refuses text that is not a path", () => {
    assert.throws(() => parsePath("spec[x]"), /"spec\[x\]" is not a property path/);
  });
});

describe("typeText", () => {
  it("shortens a type to its provider and its kind", () => {
    assert.equal(typeText("pulumi-nodejs:dynamic/gitea:Repository"), "gitea:Repository");
    assert.equal(typeText("kubernetes:apps/v1:Deployment"), "kubernetes:Deployment");
    assert.equal(typeText("random:index/randomPassword:RandomPassword"), "random:RandomPassword");
  });
});
