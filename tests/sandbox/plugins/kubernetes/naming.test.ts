import assert from "node:assert/strict";
import { isAutonamed, withName } from "../../../../sandbox/plugins/kubernetes/naming.ts";
import { UNKNOWN, type Properties } from "../../../../sandbox/plugins/values.ts";

const nameOf = ({ metadata }: Properties): unknown => (metadata as Properties)["name"];

describe("names of objects", () => {
  it("are the resource's with 8 hex digits where the program gives none", () => {
    const named = withName({ kind: "ConfigMap" }, {}, "web");
    assert.match(String(nameOf(named)), /^web-[0-9a-f]{8}$/);
    assert.equal(isAutonamed(named), true);
    assert.notEqual(nameOf(named), nameOf(withName({}, {}, "web")));
  });

  it("stay on an update", () => {
    const old = withName({ metadata: { labels: { a: "b" } } }, {}, "web");
    const next = withName({ metadata: { labels: { a: "c" } } }, old, "web");
    assert.equal(nameOf(next), nameOf(old));
    assert.equal(isAutonamed(next), true);
  });

  it("that the program gave are not kept once it gives none", () => {
    const next = withName({}, { metadata: { name: "mine" } }, "web");
    assert.match(String(nameOf(next)), /^web-/);
  });

  it("are left alone where the program gives one, even one that is not known yet", () => {
    for (const name of ["mine", UNKNOWN]) {
      const inputs = { metadata: { name } };
      assert.deepEqual(withName(inputs, {}, "web"), inputs);
    }
    assert.deepEqual(withName({ metadata: UNKNOWN }, {}, "web"), { metadata: UNKNOWN });
  });

  it("follow the engine's autonaming where it is configured", () => {
    assert.equal(nameOf(withName({}, {}, "web", "web-dev")), "web-dev");
  });
});
