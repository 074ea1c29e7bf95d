import assert from "node:assert/strict";
import fc from "fast-check";
import { jsonText } from "../../../automation/store/json.ts";

describe("JSON for PostgreSQL", () => {
  it("replaces NUL and halves of surrogate pairs, in values and in keys", () => {
    const value = { "a\0": ["x\0y", "\ud83d", "\ude00", "😀", "😀".slice(0, 1)] };
    assert.deepEqual(JSON.parse(jsonText(value)), { "a�": ["x�y", "�", "�", "😀", "�"] });
  });

  it("leaves text alone that only looks like an escape", () => {
    const value = { "\\u0000": "\\\\ud800 \\\0" };
    assert.deepEqual(JSON.parse(jsonText(value)), { "\\u0000": "\\\\ud800 \\�" });
  });

  it("is well-formed whatever comes, and the same where that is so already", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        const text = jsonText(value);
        assert.ok(text.isWellFormed());
        const escapes = text.match(/\\(u0000|ud[89a-f]..|[^])/g) ?? [];
        assert.ok(escapes.every((escape) => escape.length === 2));
        const plain = JSON.stringify(value);
        if (!/\\u(0000|d)/.test(plain)) assert.equal(text, plain);
      }),
    );
  });
});
