import { setTimeout as sleep } from "node:timers/promises";
import { NO_CHANGES, type OperationEvent } from "../../automation/engine/events.ts";
import type { Outcome } from "../../automation/engine/outcome.ts";
import { type OperationView, operationSchema } from "../../automation/service/schemas/operation.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import { errorText } from "../text.ts";
import { viewOf } from "../operation.ts";
import type { View } from "../views/view.ts";
import type { ApiClient } from "./client.ts";
import { WHY_LEFT } from "../why-left.ts";

/** In ms: how long a service that is away is waited for. */
const PATIENCE = 120_000;
/** In ms: a stream that stays open for so long is a connection, also where nothing happens on it. */
const SETTLED = 5_000;
const WAIT = 1_000;

export interface FollowOptions {
  readonly json?: boolean | undefined;
  readonly diff?: boolean | undefined;
}

/** Shows an operation until it has ended, whatever happens to the connection meanwhile. */
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
    const ended = await untilEnd(api, id, view, stop.signal);
    const outcome = outcomeOf(ended);
    view.end(outcome);
    for (const error of outcome.errors) console.error(errorText(error));
    if (!json) for (const line of remainingLines(ended)) console.log(line);
    return outcome;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    view.end({ ...NOTHING, result: "cancelled" });
    console.error(`It goes on without you. rdev-infra operations follow ${id}, or cancel ${id}`);
    return { ...NOTHING, result: "cancelled" };
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

const NOTHING = { changes: NO_CHANGES, outputs: {}, durationMs: 0, errors: [] } as const;

async function untilEnd(
  api: ApiClient,
  id: string,
  view: View,
  signal: AbortSignal,
): Promise<OperationView> {
  let last = 0;
  // When the service was last there.
  let since = performance.now();
  for (;;) {
    let lost: unknown;
    let opened = Infinity;
    try {
      const events = await api.events(id, last, signal);
      opened = performance.now();
      for await (const { type, id: number, data } of events) {
        since = performance.now();
        if (type === "end") return operationSchema.parse(JSON.parse(data));
        last = Number(number);
        show(view, (JSON.parse(data) as { event: Told }).event);
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
      lost = error;
    }
    signal.throwIfAborted();
    if (performance.now() - opened > SETTLED) since = performance.now();
    if (performance.now() - since > PATIENCE) {
      if (lost instanceof Error) throw lost;
      throw new InfraError("RDEV_UNREACHABLE", "The API ends every stream of events.");
    }
    view.note(`The connection was lost${lost ? ` (${userMessage(lost)})` : ""}; trying again.`);
    await sleep(WAIT, undefined, { signal });
  }
}

type Told =
  OperationEvent | { readonly event: "state"; readonly state: string; readonly attempts: number };

function show(view: View, event: Told): void {
  if (event.event !== "state") return view.event(event);
  const { state, attempts } = event;
  if (state === "queued") view.note("It waits for its turn.");
  if (state === "running" && attempts > 1)
    view.note(`It is begun again, for the ${attempts}. time.`);
  if (state === "cancelling") view.note("It stops when what is under way is done.");
}

/** What trying again does not mend: the request is wrong, not the connection. */
function isFinal(error: unknown): boolean {
  const status = error instanceof InfraError ? error.status : undefined;
  return status !== undefined && status < 500 && status !== 429;
}

function outcomeOf({ outcome, state }: OperationView): Outcome {
  if (outcome) return outcome as Outcome;
  return { ...NOTHING, result: state === "succeeded" || state === "failed" ? state : "cancelled" };
}

function remainingLines({ remaining }: OperationView): string[] {
  return remaining.map(({ system, what, why }) => `${WHY_LEFT[why]} ${system}: ${what}`);
}
