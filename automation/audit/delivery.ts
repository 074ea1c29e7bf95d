import { asInfraError, InfraError } from "../../core/errors.ts";
import type { Citadel } from "../../providers/citadel/port.ts";
import { IngestError } from "../../providers/citadel/ingest-error.ts";
import { citadelEvent } from "./citadel-event.ts";
import type { Queued } from "./outbox.ts";

/** In ms, for one call. */
const DEADLINE = 10_000;
/** In ms, for all calls of a batch. The store ends a transaction that is idle for a minute. */
const BATCH_DEADLINE = 30_000;
/** So many that fail one after another, whatever they are: it is Citadel's fault, not theirs. */
const OUTAGE = 3;

export interface Destination {
  readonly citadel: Pick<Citadel, "ingest">;
  readonly tenant: string;
  /** The events' `environment`. */
  readonly platform: string;
}

/** What became of the events of a batch; those that are in no list were not sent. */
export interface Delivery {
  readonly shipped: readonly Queued[];
  /** For good. */
  readonly refused: readonly { readonly row: Queued; readonly reason: string }[];
  /** Each by itself, while others may have been taken. */
  readonly failed: readonly { readonly row: Queued; readonly error: InfraError }[];
  /** Nothing more can be shipped now, whatever it is. */
  readonly outage?: InfraError;
}

/** Ships a batch, each project's events in order. Never rejects. */
export async function deliver(to: Destination, rows: readonly Queued[]): Promise<Delivery> {
  const whole = await send(to, rows);
  if (whole.outage?.status === 500 && rows.length > 1) {
    const dealtWith = new Set([...whole.shipped, ...whole.refused.map(({ row }) => row)]);
    const rest = await oneByOne(
      to,
      rows.filter((row) => !dealtWith.has(row)),
    );
    return {
      ...rest,
      shipped: [...whole.shipped, ...rest.shipped],
      refused: [...whole.refused, ...rest.refused],
    };
  }
  if (whole.refused.length === rows.length && rows.length >= OUTAGE) {
    // A proxy that lets nothing pass, perhaps: better wait than keep all aside.
    const text = `Citadel refused all of ${rows.length} events: ${whole.refused[0]?.reason}`;
    return { shipped: [], refused: [], failed: [], outage: new InfraError("RDEV_REFUSED", text) };
  }
  return whole;
}

/** Finds the event on which Citadel stumbles, so that it holds up its own project only. */
async function oneByOne(to: Destination, rows: readonly Queued[]): Promise<Delivery> {
  const shipped: Queued[] = [];
  const refused: { row: Queued; reason: string }[] = [];
  const failed: { row: Queued; error: InfraError }[] = [];
  const heldUp = new Set<string | null>();
  const end = performance.now() + BATCH_DEADLINE;
  let inARow = 0;
  for (const row of rows) {
    if (heldUp.has(row.project_id)) continue;
    if (performance.now() > end) break;
    const one = await send(to, [row]);
    shipped.push(...one.shipped);
    refused.push(...one.refused);
    inARow = one.outage ? inARow + 1 : 0;
    if (!one.outage) continue;
    if (inARow === OUTAGE || one.outage.status !== 500) {
      return { shipped, refused, failed, outage: one.outage };
    }
    failed.push({ row, error: one.outage });
    heldUp.add(row.project_id);
  }
  return { shipped, refused, failed };
}

/** One call. */
async function send(to: Destination, rows: readonly Queued[]): Promise<Delivery> {
  const { citadel, tenant, platform } = to;
  try {
    const events = rows.map((row) => citadelEvent(row, platform));
    const report = await citadel.ingest(tenant, events, { deadline: DEADLINE });
    return sorted(rows, rows.length, report.refused);
  } catch (error) {
    const outage = asInfraError(error);
    if (!(error instanceof IngestError)) return { shipped: [], refused: [], failed: [], outage };
    return { ...sorted(rows, error.done, error.report.refused), outage };
  }
}

function sorted(
  rows: readonly Queued[],
  done: number,
  refusals: readonly { readonly index: number; readonly reason: string }[],
): Delivery {
  const reasons = new Map(refusals.map(({ index, reason }) => [index, reason]));
  return {
    shipped: rows.slice(0, done).filter((_, index) => !reasons.has(index)),
    refused: rows.flatMap((row, index) => {
      const reason = reasons.get(index);
      return reason === undefined ? [] : [{ row, reason }];
    }),
    failed: [],
  };
}
