import type { OperationRow } from "../store/schema.ts";
import type { Outcome } from "../../core/operation.ts";
import type { JobResult } from "../worker/messages.ts";

/**
 * Decides whether a failed `up` is rolled back. All of this must hold:
 * 1. the caller asked for it (`onFailure: "rollback"`);
 * 2. the `up` failed, and neither a killed worker nor a shutdown caused that: both lead to a retry
 *    (after the last attempt of killed workers, what was created is kept);
 * 3. `foundEmpty`: before the operation created anything, the worker found nothing of the project, in
 *    the state and on the servers, and that is on record (`#refusalUnlessEmpty` in worker/run-job.ts);
 * 4. `mayRollBack`: the worker saw the engine work only on resources that this operation created, be
 *    it in an earlier attempt.
 *
 * So a rollback never deletes what the operation did not create. In all other cases what was created
 * is kept, and the next `up` continues from it.
 */
export function shouldRollBack(
  request: OperationRow["request"],
  { outcome, killed, mayRollBack }: JobResult,
  { foundEmpty, isHandingBack }: { readonly foundEmpty: boolean; readonly isHandingBack: boolean },
): boolean {
  const isRequested = request.kind === "up" && request.onFailure === "rollback";
  const isFinalFailure = outcome.result === "failed" && !killed && !isHandingBack;
  return isRequested && isFinalFailure && foundEmpty && mayRollBack;
}

/** The outcome of a failed `up` with its rollback: it stays failed, with the errors of both. */
export function rolledBack(failure: Outcome, rollback: Outcome): Outcome {
  return {
    result: "failed",
    outputs: {},
    durationMs: failure.durationMs + rollback.durationMs,
    changes: {
      ...failure.changes,
      delete: failure.changes.delete + rollback.changes.delete,
    },
    errors: [...failure.errors, ...rollback.errors],
  };
}
