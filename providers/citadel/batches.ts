/** Citadel refuses a body of more, in bytes; what is sent stays below. */
export const MAX_BODY = 4 * 1024 * 1024;

/** An event as JSON, and where it stood in the list that was given. */
export interface Ready {
  readonly index: number;
  readonly json: string;
}

/** In order, none longer than `maxCount`, and none whose body has `maxBytes` or more. */
export function* batchesOf(
  events: readonly Ready[],
  maxCount: number,
  maxBytes = MAX_BODY,
): Generator<readonly Ready[]> {
  let batch: Ready[] = [];
  let bytes = 2; // the brackets
  for (const event of events) {
    const more = Buffer.byteLength(event.json) + 1; // with its comma
    if (batch.length > 0 && (batch.length >= maxCount || bytes + more >= maxBytes)) {
      yield batch;
      batch = [];
      bytes = 2;
    }
    batch.push(event);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

export function bodyOf(batch: readonly Ready[]): string {
  return `[${batch.map(({ json }) => json).join(",")}]`;
}
