import { connectionSecrets } from "../../core/connections.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import type { TemplateSeedRecord } from "../../core/template-update.ts";
import {
  NO_CHANGES,
  type OperationError,
  type OperationEvent,
  type Outcome,
  type Timing,
} from "../../core/operation.ts";
import { toError } from "./messages.ts";

/** What an operation reported until the engine's process exited. */
interface EngineRun {
  readonly events: readonly OperationEvent[];
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly settings?: ProjectChanges | undefined;
  readonly template?: TemplateSeedRecord | undefined;
  readonly durationMs: number;
  /** Why the process failed; undefined if it succeeded. */
  readonly failure: unknown;
  readonly cancelled: boolean;
  readonly timings?: readonly Timing[];
}

export function outcomeOf(run: EngineRun): Outcome {
  const { events, outputs, settings, template, durationMs, failure, cancelled, timings } = run;
  const summary = events.findLast((event) => event.event === "summary");
  const result = failure === undefined ? "succeeded" : cancelled ? "cancelled" : "failed";
  return {
    result,
    changes: summary?.changes ?? NO_CHANGES,
    outputs,
    ...(settings && { settings }),
    ...(template && { template }),
    durationMs,
    errors: result === "succeeded" ? [] : errorsOf(events, failure, cancelled),
    ...(timings && { timings: [...timings] }),
  };
}

/** The errors that the engine reported. If it reported none, the reason why its process failed. */
function errorsOf(
  events: readonly OperationEvent[],
  failure: unknown,
  cancelled: boolean,
): OperationError[] {
  const errors = new Map<string, OperationError>();
  for (const event of events) {
    if (event.event !== "diagnostic" || event.severity !== "error") continue;
    const { code, urn, message } = event;
    if (errors.has(message)) continue; // the SDK reports an error of the program twice
    errors.set(message, { ...(code && { code }), ...(urn && { urn }), message });
  }
  if (errors.size > 0) return [...errors.values()];
  if (cancelled) return [];
  if (failure instanceof InfraError) return [{ code: failure.code, message: failure.message }];
  return [toError(redact(userMessage(failure), connectionSecrets()))];
}
