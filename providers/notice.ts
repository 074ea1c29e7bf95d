import { AsyncLocalStorage } from "node:async_hooks";

const receivers = new AsyncLocalStorage<(text: string) => void>();

/**
 * Tells the user about something that is no error. Without a receiver it is printed to the standard
 * error, which Pulumi's engine reads if this process is one of its plugins.
 */
export function notice(text: string): void {
  const receive = receivers.getStore() ?? console.error;
  receive(text);
}

/** Calls `receive` with the notices of `work`. */
export function receiveNotices<T>(receive: (text: string) => void, work: () => T): T {
  return receivers.run(receive, work);
}
