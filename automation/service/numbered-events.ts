import { z } from "zod";
import { EVENT_STREAM, frame } from "./event-stream.ts";

const eventNumber = z.coerce.number().int().min(0).max(2_147_483_647);

/** The parameters of every route with numbered events. */
export const eventParameters = {
  headers: z.looseObject({
    accept: z.string().max(200).optional(),
    "last-event-id": eventNumber.optional().meta({
      description: "Only events after this number. Takes precedence over `after`.",
    }),
  }),
  querystring: z.strictObject({
    after: eventNumber.default(0).meta({ description: "Only events after this number." }),
    limit: z.coerce.number().int().min(1).max(1000).default(500).meta({
      description: "The maximum number of events in a JSON answer.",
    }),
  }),
};

/** The answer of such a route: a stream, or a page in JSON. */
export function eventsResponse(page: z.ZodType) {
  return {
    description: "The events in order.",
    content: {
      [EVENT_STREAM]: { schema: z.string() },
      "application/json": { schema: page },
    },
  };
}

/** An event as clients see it. */
interface EventView {
  readonly number: number;
  readonly event: { readonly event: string };
}

/**
 * Each event has its number as id. The last one is `event: end` with what the events were about, which
 * `ended` reads once there are no more.
 */
export async function* eventFrames<E>(
  events: AsyncIterable<E>,
  view: (event: E) => EventView,
  ended: () => Promise<object | undefined>,
): AsyncGenerator<string> {
  for await (const event of events) {
    const shown = view(event);
    yield frame(shown.event.event, shown, shown.number);
  }
  const end = await ended();
  if (end) yield frame("end", end);
}
