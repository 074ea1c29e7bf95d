import assert from "node:assert/strict";
import { cleanMessage } from "../../../../automation/engine/quirks/cli-text.ts";

describe("cleanMessage", () => {
  const cases: [name: string, text: string, clean: string][] = [
    ["colours", "\u001b[31merror: \u001b[0mno\n", "no"],
    ["the engine's colour tags", "<{%fg 1%}>error: <{%reset%}>no", "no"],
    [
      "stack traces",
      "Unhandled exception: TypeError: x is not\n    at f (file:///a.ts:1:2)\n    at async g (/b.js:3:4)\n",
      "x is not",
    ],
    ["Node's error codes", "Unhandled exception: Error [ERR_X]: gone\n    at f (a:1:2)", "gone"],
    ["the prefix of gRPC", "rpc error: code = Unknown desc = no", "no"],
    ["the count of a single error", "1 error occurred:\n\t* no\n\n", "no"],
    ["the URN, which the error has as a field", "deleting urn:pulumi:s::rdev::a:b:C::n: no", "no"],
    [
      "values of properties that failed a check",
      "x:y:Z resource 'f': property password value {hunter2 {}} has a problem: is short",
      "x:y:Z resource 'f': property password: is short",
    ],
    ["the message that the operation failed", "update failed\n", ""],
    ["the message that the operation was cancelled", "update canceled\n", ""],
    [
      "a resource that only depends on one that failed",
      'error serializing property "spec": error serializing property "x": resource a [b:c:D] failed to register',
      "",
    ],
    ["the place of a plugin", "using pulumi-resource-x from $PATH at /bin/x\n", ""],
  ];
  for (const [name, text, clean] of cases) {
    it(`removes ${name}`, () => {
      assert.equal(cleanMessage(text, []), clean);
    });
  }

  it("keeps the lines of a list", () => {
    const text = "RDEV_SETTINGS: not as they should be:\n  - a is missing\n  - b is missing";
    assert.equal(cleanMessage(`error: ${text}\n`, []), text);
  });

  it("removes secrets", () => {
    assert.equal(cleanMessage("no: hunter2", ["hunter2"]), "no: [secret]");
  });
});
