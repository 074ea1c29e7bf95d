import { setTimeout as sleep } from "node:timers/promises";
import { NO_CHANGES, type NumberedEvent, type Outcome } from "../../core/operation.ts";
import { type OperationView, operationSchema } from "../../automation/service/schemas/operation.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import { viewOf } from "../operation.ts";
import { errorText, leftoverText } from "../text.ts";
import type { View } from "../views/view.ts";
import type { ApiClient } from "./client.ts";

/** How long to retry while the service is away. */
const MAX_OUTAGE_MS = 120_000;
/** A stream that stayed open for so long was a working connection, even without events. */
const STABLE_MS = 5_000;
const RETRY_MS = 1_000;
/** An operation that is still queued after so long waits for another one. */
const QUEUED_MS = 1_000;

export interface FollowOptions {
  readonly json?: boolean | undefined;
  readonly diff?: boolean | undefined;
}

/** Shows an operation to its end. Reconnects when the connection is lost. */
export async function follow(
  api: ApiClient,
  { id, slug, request }: OperationView,
  { json = false, diff = false }: FollowOptions,
): Promise<Outcome> {
  const { kind } = request;
  const tense = kind === "preview" ? "would" : "past";
  const operation = kind === "preview" && request.of === "destroy" ? "destroy" : kind;
  const view = viewOf({ operation, stack: slug, tense, diff }, json);
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    const showEvent = eventsOn(view);
    const end = await followToEnd(api, `/v1/operations/${id}/events`, {
      onEvent: (data) => showEvent((data as { event: StreamEvent }).event),
      note: (text) => view.note(text),
      signal: stop.signal,
    });
    const operationAtEnd = operationSchema.parse(end);
    const outcome = outcomeOf(operationAtEnd);
    await view.end(outcome);
    for (const error of outcome.errors) console.error(errorText(error));
    if (!json) for (const leftover of operationAtEnd.remaining) console.log(leftoverText(leftover));
    return outcome;
  } catch (error) {
    if (json && stop.signal.aborted) await view.end({ ...NOTHING, result: "cancelled" });
    else await view.close();
    if (!stop.signal.aborted) throw error;
    console.error(
      `The operation continues. Show it: rdev-infra operations follow ${id}. Stop it: rdev-infra ` +
        `operations cancel ${id}.`,
    );
    return { ...NOTHING, result: "cancelled" };
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

const NOTHING = { changes: NO_CHANGES, outputs: {}, durationMs: 0, errors: [] };

interface StreamOptions {
  /** Called with the data of each event, in order. */
  readonly onEvent: (data: unknown) => void;
  /** Called with what a person should know about the connection. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Reads the events at a path to the last one, and returns its data. Reconnects when the connection is
 * lost. Rejects once the service has been away for MAX_OUTAGE_MS, or if a retry cannot help.
 */
export async function followToEnd(
  api: Pick<ApiClient, "events">,
  path: string,
  { onEvent, note, signal }: StreamOptions,
): Promise<unknown> {
  let last = 0;
  let lastContact = performance.now();
  for (;;) {
    let failure: unknown;
    let opened = Infinity;
    try {
      const events = await api.events(path, last, signal);
      opened = performance.now();
      for await (const { type, id: number, data } of events) {
        lastContact = performance.now();
        if (type === "end") return JSON.parse(data);
        last = Number(number);
        onEvent(JSON.parse(data));
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
      failure = error;
    }
    signal.throwIfAborted();
    if (performance.now() - opened > STABLE_MS) lastContact = performance.now();
    if (performance.now() - lastContact > MAX_OUTAGE_MS) {
      if (failure instanceof Error) throw failure;
      throw new InfraError("RDEV_UNREACHABLE", "The API closes every stream of events.");
    }
    const cause = failure ? ` (${userMessage(failure)})` : "";
    note(`The connection was lost${cause}; trying again.`);
    await sleep(RETRY_MS, undefined, { signal });
  }
}

type StreamEvent = NumberedEvent["event"];

/** Shows the events of a stream. Every operation starts as queued, so only a longer wait is shown. */
function eventsOn(view: View): (event: StreamEvent) => void {
  let waiting: NodeJS.Timeout | undefined;
  return (event) => {
    clearTimeout(waiting);
    if (event.event !== "state") return view.event(event);
    const { state, attempts } = event;
    if (state === "queued") {
      waiting = setTimeout(() => {
        view.note("Queued: another operation runs before this one.");
        view.status({ message: "waiting in the queue" });
      }, QUEUED_MS);
      waiting.unref();
    }
    if (state === "running") {
      view.status({ message: "running" });
      if (attempts > 1) view.note(`Started again (attempt ${attempts}).`);
    }
    if (state === "cancelling") view.note("Stopping after the resources in progress.");
  };
}

/** True if a retry cannot help, because the request is wrong and not the connection. */
function isFinal(error: unknown): boolean {
  const status = error instanceof InfraError ? error.status : undefined;
  return status !== undefined && status < 500 && status !== 429;
}

function outcomeOf({ outcome, state }: OperationView): Outcome {
  if (outcome) return outcome;
  return { ...NOTHING, result: state === "succeeded" || state === "failed" ? state : "cancelled" };
}
