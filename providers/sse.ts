import { createParser } from "eventsource-parser";

/** One event of a stream of server-sent events. */
export interface ServerSentEvent {
  /** Default: `message`. */
  readonly type: string;
  readonly data: string;
  /** The last event id of the stream so far, or "". */
  readonly id: string;
}

/**
 * Parses a stream of server-sent events. Not undici's EventSource: that takes no headers, hides
 * errors and reconnects by itself.
 */
export async function* serverSentEvents(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const parsed: ServerSentEvent[] = [];
  let id = "";
  const parser = createParser({
    onId: (newId) => (id = newId),
    onEvent: ({ event, data }) => parsed.push({ type: event ?? "message", data, id }),
  });
  const decoder = new TextDecoder();
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* parsed.splice(0);
  }
}
