import assert from "node:assert/strict";
import { shouldRollBack } from "../../../automation/operations/rollback.ts";
import type { JobResult } from "../../../automation/worker/messages.ts";
import { NO_CHANGES } from "../../../core/operation.ts";

const REQUEST = { kind: "up", settings: {}, onFailure: "rollback" } as const;
const STATE = { foundEmpty: true, isHandingBack: false };

function result(changes: Partial<JobResult> = {}, ended: "failed" | "cancelled" = "failed") {
  return {
    type: "done" as const,
    outcome: { result: ended, changes: NO_CHANGES, outputs: {}, durationMs: 1, errors: [] },
    remaining: [],
    gone: false,
    mayRollBack: true,
    killed: false,
    ...changes,
  };
}

describe("shouldRollBack", () => {
  it("rolls back a failed up that found nothing of the project before, if that was requested", () => {
    assert.equal(shouldRollBack(REQUEST, result(), STATE), true);
  });

  it("rolls back nothing if any condition is missing", () => {
    const kept = { ...REQUEST, onFailure: "keep" } as const;
    assert.deepEqual(
      [
        shouldRollBack(kept, result(), STATE),
        shouldRollBack({ kind: "destroy" }, result(), STATE),
        shouldRollBack(REQUEST, result({}, "cancelled"), STATE),
        shouldRollBack(REQUEST, result({ killed: true }), STATE),
        shouldRollBack(REQUEST, result({ mayRollBack: false }), STATE),
        shouldRollBack(REQUEST, result(), { ...STATE, foundEmpty: false }),
        shouldRollBack(REQUEST, result(), { ...STATE, isHandingBack: true }),
      ],
      Array.from({ length: 7 }, () => false),
    );
  });
});
