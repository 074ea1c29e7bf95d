import { useEffect, useState } from "preact/hooks";
import type {
  NumberedEventView,
  OperationView,
} from "../../automation/service/schemas/operation.ts";
import { type ApiError, call } from "./api.ts";
import { readEvents, type StreamEvent } from "./events.ts";
import { addEvents, NO_PROGRESS, type Progress } from "./progress.ts";
import { isOpen } from "./states.ts";

export interface LiveOperation {
  readonly operation: OperationView | undefined;
  readonly progress: Progress;
  readonly state: OperationView["state"];
  /** False while the connection to the events is lost. */
  readonly isConnected: boolean;
  readonly error: ApiError | undefined;
}

type Heard = Omit<LiveOperation, "state">;

const START: Heard = {
  operation: undefined,
  progress: NO_PROGRESS,
  isConnected: true,
  error: undefined,
};

/** An operation with its events, as they happen. Without an id there is none. */
export function useOperation(id: string | undefined): LiveOperation {
  const [live, setLive] = useState(START);
  useEffect(() => {
    setLive(START);
    if (id === undefined) return undefined;
    const stop = new AbortController();
    const update = (change: (before: Heard) => Partial<Heard>) => {
      if (!stop.signal.aborted) setLive((before) => ({ ...before, ...change(before) }));
    };
    const fail = (error: ApiError) => update(() => ({ error }));
    const { signal } = stop;
    call<OperationView>("GET", `/v1/operations/${id}`, { signal }).then(
      (operation) => update((before) => ({ operation: before.operation ?? operation })),
      fail,
    );
    const onEvents = (events: readonly StreamEvent[]) =>
      update(({ operation, progress }) => ({
        operation: endOf(events) ?? operation,
        progress: addEvents(progress, numbered(events)),
      }));
    const onConnected = (isConnected: boolean) => update(() => ({ isConnected }));
    readEvents(`/v1/operations/${id}/events`, { onEvents, onConnected, signal }).catch(fail);
    return () => stop.abort();
  }, [id]);
  return { ...live, state: stateOf(live) };
}

/** The newest of what the answer and the events say. */
function stateOf({ operation, progress }: Heard): OperationView["state"] {
  if (operation && !isOpen(operation.state)) return operation.state;
  return progress.last > 0 ? progress.state : (operation?.state ?? "queued");
}

/** The operation at its end, if that is among the events. */
function endOf(events: readonly StreamEvent[]): OperationView | undefined {
  const end = events.find(({ type }) => type === "end");
  return end && (JSON.parse(end.data) as OperationView);
}

function numbered(events: readonly StreamEvent[]): NumberedEventView[] {
  return events
    .filter(({ type }) => type !== "end")
    .map(({ data }) => JSON.parse(data) as NumberedEventView);
}
