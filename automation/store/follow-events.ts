import { Poll } from "../poll.ts";
import type { Notifier } from "./notifier.ts";

/** In ms: how often the events are read without a notification, because one can get lost. */
const POLL_MS = 2_000;
const PAGE_SIZE = 500;

interface Followed<E> {
  /** Only events after this number. */
  readonly after: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Tells when there may be new events of `id`. */
  readonly notifier: Notifier<{ readonly id: string }>;
  readonly id: string;
  /** Whether there can be no more events than those that exist. */
  readonly hasEnded: () => Promise<boolean>;
  readonly events: (after: number, limit: number) => Promise<readonly E[]>;
}

/** Yields numbered events as they are written, up to the last one. */
export async function* followEvents<E extends { readonly number: number }>({
  after,
  signal,
  notifier,
  id,
  hasEnded,
  events,
}: Followed<E>): AsyncGenerator<E> {
  let last = after;
  const poll = new Poll(POLL_MS, signal);
  const unsubscribe = notifier.subscribe((change) => {
    if (change.id === id) poll.wake();
  });
  try {
    while (!signal.aborted) {
      poll.begin();
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
      await poll.wait();
    }
  } finally {
    unsubscribe();
  }
}
