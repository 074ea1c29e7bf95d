import assert from "node:assert/strict";
import {
  hasSecret,
  hasUnknown,
  markSecrets,
  reveal,
  secret,
  secretTexts,
  UNKNOWN,
} from "../../../sandbox/plugins/values.ts";

describe("values of the engine", () => {
  it("reveals secrets at any depth", () => {
    const value = { a: [secret({ b: secret("deep") })], c: 1 };
    assert.deepEqual(reveal(value), { a: [{ b: "deep" }], c: 1 });
  });

  it("finds secrets and unknowns within", () => {
    assert.equal(hasSecret({ a: [{ b: secret("x") }] }), true);
    assert.equal(hasSecret({ a: [{ b: "x" }] }), false);
    assert.equal(hasUnknown({ a: [{ b: UNKNOWN }] }), true);
    assert.equal(hasUnknown({ a: secret(UNKNOWN) }), true);
    assert.equal(hasUnknown({ a: "x" }), false);
  });

  it("marks secret what is secret at the same place", () => {
    const marked = markSecrets(
      { data: { key: "s", other: "p" }, list: [1, 2], added: true },
      { data: { key: secret("s"), other: "p" }, list: [secret(1), 2] },
    );
    assert.deepEqual(marked, {
      data: { key: secret("s"), other: "p" },
      list: [secret(1), 2],
      added: true,
    });
  });

  it("marks a whole list secret where its items moved", () => {
    const marked = markSecrets({ list: ["new", "s"] }, { list: [secret("s")] });
    assert.deepEqual(marked, { list: secret(["new", "s"]) });
  });

  it("does not mark what is marked already a second time", () => {
    assert.deepEqual(markSecrets({ a: secret("x") }, { a: secret("x") }), { a: secret("x") });
  });

  it("lists the texts of secrets only", () => {
    const value = { a: secret({ b: "one", c: [2, true] }), d: "plain" };
    assert.deepEqual(secretTexts(value), ["one", "2"]);
  });
});
