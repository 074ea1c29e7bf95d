import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { InfraError } from "../../core/errors.ts";
import type { Http } from "../http.ts";
import { tenantId } from "./manage.ts";
import { normalizeEvent } from "./normalize.ts";
import {
  type CitadelEvent,
  IngestError,
  type IngestOptions,
  type IngestReport,
  type RefusedEvent,
} from "./port.ts";

const DEADLINE = 10_000;
const BATCH = 100;

/** In bytes. Citadel refuses a larger body. */
export const MAX_BODY = 4 * 1024 * 1024;

/** These statuses mean that an event of the batch is wrong, or that the batch is too large. */
const REFUSALS = new Set<number | undefined>([400, 413, 422]);

const compress = promisify(gzip);

/** An event as JSON, and its index in the caller's list. */
interface Prepared {
  readonly index: number;
  readonly json: string;
}

export async function ingest(
  http: Http,
  tenant: string,
  events: readonly CitadelEvent[],
  { deadline = DEADLINE, batchSize = BATCH, gzip: gzipped = false }: IngestOptions = {},
): Promise<IngestReport> {
  const headers = {
    "x-tenant-id": tenantId(tenant),
    "content-type": "application/json",
    ...(gzipped && { "content-encoding": "gzip" }),
  };
  const end = performance.now() + deadline;
  const { prepared, refused } = prepare(events);
  let accepted = 0;
  let done = 0;
  const report = (): IngestReport => ({
    accepted,
    refused: refused.toSorted((a, b) => a.index - b.index),
  });

  const post = async (batch: readonly Prepared[]): Promise<void> => {
    const left = end - performance.now();
    if (left <= 0) {
      const text = `Citadel did not accept all events within ${deadline / 1000} s.`;
      throw new InfraError("RDEV_DEADLINE", text);
    }
    const body = bodyOf(batch);
    await http.send("POST", "/ingest", {
      body: gzipped ? await compress(body) : body,
      headers,
      deadline: Math.ceil(left),
      codes: { 404: "RDEV_TENANT" },
    });
  };

  /** Citadel accepts a batch as a whole or not at all, so a refused one is halved and sent again. */
  const ship = async (batch: readonly Prepared[]): Promise<void> => {
    try {
      await post(batch);
      accepted += batch.length;
    } catch (error) {
      if (!(error instanceof InfraError)) throw error;
      if (!REFUSALS.has(error.status)) throw new IngestError(error, report(), done);
      const [first, ...others] = batch;
      if (first && others.length === 0) {
        refused.push({ index: first.index, reason: `${error.code}: ${error.message}` });
      } else {
        const middle = Math.ceil(batch.length / 2);
        await ship(batch.slice(0, middle));
        await ship(batch.slice(middle));
      }
    }
    done = (batch.at(-1)?.index ?? 0) + 1;
  };

  for (const batch of batchesOf(prepared, batchSize)) await ship(batch);
  return report();
}

function prepare(events: readonly CitadelEvent[]): {
  prepared: Prepared[];
  refused: RefusedEvent[];
} {
  const prepared: Prepared[] = [];
  const refused: RefusedEvent[] = [];
  for (const [index, event] of events.entries()) {
    const normalized = normalizeEvent(event);
    if ("json" in normalized) prepared.push({ index, json: normalized.json });
    else refused.push({ index, reason: normalized.refused });
  }
  return { prepared, refused };
}

/** Keeps the order. A batch has at most `maxCount` events, and its body stays below `maxBytes`. */
export function* batchesOf(
  events: readonly Prepared[],
  maxCount: number,
  maxBytes = MAX_BODY,
): Generator<readonly Prepared[]> {
  let batch: Prepared[] = [];
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

export function bodyOf(batch: readonly Prepared[]): string {
  return `[${batch.map(({ json }) => json).join(",")}]`;
}
