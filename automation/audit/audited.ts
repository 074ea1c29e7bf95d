import { randomUUID } from "node:crypto";
import { InfraError, userMessage } from "../../core/errors.ts";
import type { AuditEvent, AuditLog } from "./port.ts";

export type AuditedAction = Omit<AuditEvent, "result" | "durationMs">;

/** How work ended that did not throw. */
export interface Ending {
  readonly result: "success" | "failure";
  /** Beside those of the action. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Does the work only once its intent is in the audit log, and writes there how it ended: as `ending`
 * judges its value, and as a failure where it throws. Rejects with what the work throws; with
 * RDEV_AUDIT where the work ended, but its end could not be written.
 */
export async function audited<T>(
  log: AuditLog,
  given: AuditedAction,
  work: () => Promise<T>,
  ending: (value: T) => Ending = () => ({ result: "success" }),
): Promise<T> {
  const action = { ...given, operation: given.operation ?? randomUUID() };
  await log.record({ ...action, result: "started" });
  const start = performance.now(); // not the clock, which may jump
  const ended = async ({ result, details: more }: Ending) => {
    const durationMs = performance.now() - start;
    try {
      await log.record({ ...action, result, durationMs, details: { ...action.details, ...more } });
    } catch (unwritten) {
      const why = more?.["error"] === undefined ? "" : ` (${userMessage(more["error"])})`;
      throw new InfraError(
        "RDEV_AUDIT",
        `${action.action} ended with ${result}${why}, but that could not be written to the audit ` +
          `log: ${userMessage(unwritten)}`,
        { cause: more?.["error"] ?? unwritten },
      );
    }
  };
  let value: T;
  try {
    value = await work();
  } catch (error) {
    await ended({ result: "failure", details: { error: error ?? "nothing" } });
    throw error;
  }
  await ended(ending(value));
  return value;
}
