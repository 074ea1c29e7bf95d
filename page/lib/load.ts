import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "./api.ts";

export interface Loaded<T> {
  /** The newest answer. It stays while the next one is awaited, so that the view does not jump. */
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  readonly reload: () => void;
}

type State<T> = Omit<Loaded<T>, "reload">;

/** In ms. A connection that was lost in a sleep of this machine never answers. */
const PATIENCE = 30_000;

/**
 * Loads when the key changes, and again every so many ms while the tab is visible, and when it becomes
 * visible. The next load waits for the answer to the one before, because a service that is slower than
 * that would never be heard. An answer that comes after the key has changed is ignored.
 */
export function useLoaded<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  { everyMs }: { readonly everyMs?: number | undefined } = {},
): Loaded<T> {
  const [state, setState] = useState<State<T>>({ data: undefined, error: undefined });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  /** When the load began that has no answer yet, in ms since 1970. */
  const waitsSince = useRef<number | undefined>(undefined);
  // An ordinary effect would wait for the next paint.
  useLayoutEffect(() => {
    const stop = new AbortController();
    const settle = (change: (before: State<T>) => State<T>) => {
      if (stop.signal.aborted) return;
      waitsSince.current = undefined;
      setState(change);
    };
    waitsSince.current = Date.now();
    latest.current(stop.signal).then(
      (data) => settle(() => ({ data, error: undefined })),
      (error: ApiError) => settle(({ data }) => ({ data, error })),
    );
    return () => stop.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const look = () => {
      const isWaiting = Date.now() - (waitsSince.current ?? -Infinity) < PATIENCE;
      if (document.visibilityState === "visible" && !isWaiting) reload();
    };
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [everyMs]);
  return { ...state, reload };
}
