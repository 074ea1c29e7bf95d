import { useEffect, useState } from "preact/hooks";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { type ApiError, call } from "./api.ts";
import { type Connection, followOperation } from "./follow.ts";
import { addEvents, NO_PROGRESS, type Progress } from "./progress.ts";

export interface LiveOperation {
  readonly operation: OperationView | undefined;
  readonly progress: Progress;
  readonly connection: Connection;
  readonly error: ApiError | undefined;
}

const START: LiveOperation = {
  operation: undefined,
  progress: NO_PROGRESS,
  connection: "connecting",
  error: undefined,
};

/** An operation with its events, as they happen. Without an id there is none. */
export function useOperation(id: string | undefined): LiveOperation {
  const [live, setLive] = useState(START);
  useEffect(() => {
    setLive(START);
    if (id === undefined) return undefined;
    const stop = new AbortController();
    const update = (change: (before: LiveOperation) => Partial<LiveOperation>) => {
      if (!stop.signal.aborted) setLive((before) => ({ ...before, ...change(before) }));
    };
    const fail = (error: ApiError) => update(() => ({ error }));
    const { signal } = stop;
    call<OperationView>("GET", `/v1/operations/${id}`, { signal }).then(
      (operation) => update((before) => ({ operation: before.operation ?? operation })),
      fail,
    );
    const follower = {
      onEvents: (events: Parameters<typeof addEvents>[1]) =>
        update(({ progress }) => ({ progress: addEvents(progress, events) })),
      onEnd: (operation: OperationView) => update(() => ({ operation })),
      onConnection: (connection: Connection) => update(() => ({ connection })),
    };
    followOperation(id, follower, signal).catch(fail);
    return () => stop.abort();
  }, [id]);
  return live;
}
