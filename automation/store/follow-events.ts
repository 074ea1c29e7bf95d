import { setTimeout as sleep } from "node:timers/promises";

/** In ms: how often the events are read without a notification, because one can get lost. */
const POLL_MS = 2_000;
const PAGE_SIZE = 500;

interface Followed<E> {
  /** Only events after this number. */
  readonly after: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Calls back when there may be new events. Returns the function that ends the subscription. */
  readonly subscribe: (onChange: () => void) => () => void;
  /** Whether there can be no more events than those that exist. */
  readonly hasEnded: () => Promise<boolean>;
  readonly events: (after: number, limit: number) => Promise<readonly E[]>;
}

/** Yields numbered events as they are written, up to the last one. */
export async function* followEvents<E extends { readonly number: number }>({
  after,
  signal,
  subscribe,
  hasEnded,
  events,
}: Followed<E>): AsyncGenerator<E> {
  let last = after;
  let hasChange = true;
  let wake: () => void = () => undefined;
  const unsubscribe = subscribe(() => {
    hasChange = true;
    wake();
  });
  try {
    while (!signal.aborted) {
      hasChange = false;
      // Read before the events: if it has ended, all its events are there.
      const isOver = await hasEnded();
      const page = await events(last, PAGE_SIZE);
      for (const event of page) {
        if (signal.aborted) return;
        yield event;
        last = event.number;
      }
      if (page.length === PAGE_SIZE) continue;
      if (isOver) return;
      if (!hasChange) await nextChange(signal, (resolve) => (wake = resolve));
    }
  } finally {
    unsubscribe();
  }
}

/** Resolves on a wake-up, on abort, or after POLL_MS. */
async function nextChange(signal: AbortSignal, onWake: (wake: () => void) => void): Promise<void> {
  const woken = new AbortController();
  onWake(() => woken.abort());
  const either = AbortSignal.any([signal, woken.signal]);
  await sleep(POLL_MS, undefined, { signal: either }).catch(() => undefined);
}
