import { connectionSecrets } from "../../core/connections.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { NO_CHANGES, type Changes, type OperationEvent } from "./events.ts";
import { toError, type OperationError } from "./messages.ts";

/** How an operation ended. */
export interface Outcome {
  readonly result: "succeeded" | "failed" | "cancelled";
  readonly changes: Changes;
  /** The stack's outputs; secrets are the text "[secret]". */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** What a project's stack records to be made with; absent where the operation ended before that. */
  readonly settings?: ProjectChanges;
  readonly durationMs: number;
  /** Empty when it succeeded. */
  readonly errors: readonly OperationError[];
}

/** What is known of an operation when its process has ended. */
export interface Ended {
  readonly events: readonly OperationEvent[];
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly settings?: ProjectChanges | undefined;
  readonly durationMs: number;
  /** Why the process failed; undefined when it did not. */
  readonly failure: unknown;
  readonly cancelled: boolean;
}

export function outcome(ended: Ended): Outcome {
  const { events, outputs, settings, durationMs, failure, cancelled } = ended;
  const summary = events.findLast((event) => event.event === "summary");
  const result = failure === undefined ? "succeeded" : cancelled ? "cancelled" : "failed";
  return {
    result,
    changes: summary?.changes ?? NO_CHANGES,
    outputs,
    ...(settings && { settings }),
    durationMs,
    errors: result === "succeeded" ? [] : errorsOf(events, failure, cancelled),
  };
}

/** What the engine said; only where it said nothing, why its process failed. */
function errorsOf(
  events: readonly OperationEvent[],
  failure: unknown,
  cancelled: boolean,
): OperationError[] {
  const errors = new Map<string, OperationError>();
  for (const event of events) {
    if (event.event !== "diagnostic" || event.severity !== "error") continue;
    const { code, urn, message } = event;
    if (errors.has(message)) continue; // the SDK reports a program's error twice
    errors.set(message, { ...(code && { code }), ...(urn && { urn }), message });
  }
  if (errors.size > 0) return [...errors.values()];
  if (cancelled) return [];
  if (failure instanceof InfraError) return [{ code: failure.code, message: failure.message }];
  return [toError(redact(userMessage(failure), connectionSecrets()))];
}
