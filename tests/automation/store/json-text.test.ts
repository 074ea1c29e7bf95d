import assert from "node:assert/strict";
import fc from "fast-check";
import { jsonText } from "../../../automation/store/schema.ts";

describe("jsonText", () => {
  it("replaces NUL and lone surrogates in values and keys", () => {
    const value = { "a\0": ["x\0y", "\ud83d", "\ude00", "😀", "😀".slice(0, 1)] };
    assert.deepEqual(JSON.parse(jsonText(value)), { "a�": ["x�y", "�", "�", "😀", "�"] });
  });

  it("keeps text that looks like an escape", () => {
    const value = { "\\u0000": "\\\\ud800 \\\0" };
    assert.deepEqual(JSON.parse(jsonText(value)), { "\\u0000": "\\\\ud800 \\�" });
  });

  it("returns well-formed text, and keeps text that is already valid", () => {
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
