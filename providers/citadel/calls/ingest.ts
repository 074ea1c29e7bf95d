import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { InfraError } from "../../../core/errors.ts";
import type { Http } from "../../http.ts";
import { batchesOf, bodyOf, type Ready } from "../batches.ts";
import { tenantHeader } from "../headers.ts";
import { IngestError } from "../ingest-error.ts";
import { normalizeEvent } from "../normalize.ts";
import type { CitadelEvent, IngestOptions, IngestReport, RefusedEvent } from "../port.ts";

const DEADLINE = 10_000;
const BATCH = 100;
/** Something in the batch is wrong, or all of it is too much. */
const REFUSALS = new Set<number | undefined>([400, 413, 422]);

const compress = promisify(gzip);

export async function ingest(
  http: Http,
  tenant: string,
  events: readonly CitadelEvent[],
  { deadline = DEADLINE, batchSize = BATCH, gzip: gzipped = false }: IngestOptions = {},
): Promise<IngestReport> {
  const headers = tenantHeader(tenant);
  const end = performance.now() + deadline;
  const { ready, refused } = prepare(events);
  let accepted = 0;
  let done = 0;
  const report = (): IngestReport => ({
    accepted,
    refused: refused.toSorted((a, b) => a.index - b.index),
  });

  const post = async (batch: readonly Ready[]): Promise<void> => {
    const left = end - performance.now();
    if (left <= 0) {
      const text = `Citadel did not take all events within ${deadline / 1000} s.`;
      throw new InfraError("RDEV_DEADLINE", text);
    }
    const body = bodyOf(batch);
    await http.send("POST", "/ingest", {
      body: gzipped ? await compress(body) : body,
      headers: {
        ...headers,
        "content-type": "application/json",
        ...(gzipped && { "content-encoding": "gzip" }),
      },
      deadline: Math.ceil(left),
      codes: { 404: "RDEV_TENANT" },
    });
  };

  /** A batch is taken as a whole or not at all: halves find the event that is wrong. */
  const ship = async (batch: readonly Ready[]): Promise<void> => {
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

  for (const batch of batchesOf(ready, batchSize)) await ship(batch);
  return report();
}

function prepare(events: readonly CitadelEvent[]): { ready: Ready[]; refused: RefusedEvent[] } {
  const ready: Ready[] = [];
  const refused: RefusedEvent[] = [];
  for (const [index, event] of events.entries()) {
    const normalized = normalizeEvent(event);
    if ("json" in normalized) ready.push({ index, json: normalized.json });
    else refused.push({ index, reason: normalized.refused });
  }
  return { ready, refused };
}
