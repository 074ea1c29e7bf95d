import assert from "node:assert/strict";
import { auditOfMove, type MovedStack } from "../../../automation/secrets/move.ts";

describe("the audit trail of a move of secrets", () => {
  const moved = (stack: string, result: MovedStack["result"]): MovedStack => {
    return {
      stack,
      from: "passphrase",
      result,
      ...(result === "failed" && { problem: "it broke" }),
    };
  };

  it("has a success only if nothing is left, and nothing interrupted the move", () => {
    const done = [moved("east", "moved"), moved("east.shop", "unchanged")];
    for (const [stacks, aborted, result] of [
      [done, false, "success"],
      [done, true, "failure"],
      [[...done, moved("east.blog", "locked")], false, "failure"],
      [[...done, moved("east.blog", "failed")], false, "failure"],
    ] as const) {
      assert.equal(auditOfMove(stacks, { aborted }).result, result);
    }
  });

  it("names each stack with its result, without the problem's text", () => {
    const { details } = auditOfMove([moved("east", "failed")], { aborted: false });
    assert.deepEqual(details, {
      stacks: [{ stack: "east", from: "passphrase", result: "failed" }],
    });
  });
});
