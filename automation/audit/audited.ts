import { InfraError, userMessage } from "../../core/errors.ts";
import type { AuditEvent, AuditLog } from "./port.ts";

export type AuditedAction = Omit<AuditEvent, "result" | "durationMs">;

/**
 * Does the work only once its intent is in the audit log, and writes there how it ended. Rejects with
 * what the work throws; with RDEV_AUDIT where the work ended, but its end could not be written.
 */
export async function audited<T>(
  log: AuditLog,
  action: AuditedAction,
  work: () => Promise<T>,
): Promise<T> {
  await log.record({ ...action, result: "started" });
  const start = performance.now(); // not the clock, which may jump
  const ended = async (result: "success" | "failure", error?: unknown) => {
    const durationMs = performance.now() - start;
    const details = { ...action.details, ...(error !== undefined && { error }) };
    try {
      await log.record({ ...action, result, durationMs, details });
    } catch (unwritten) {
      throw new InfraError(
        "RDEV_AUDIT",
        `${action.action} ended with ${result}${error === undefined ? "" : ` (${userMessage(error)})`}, ` +
          `but that could not be written to the audit log: ${userMessage(unwritten)}`,
        { cause: error ?? unwritten },
      );
    }
  };
  let value: T;
  try {
    value = await work();
  } catch (error) {
    await ended("failure", error ?? "nothing");
    throw error;
  }
  await ended("success");
  return value;
}
