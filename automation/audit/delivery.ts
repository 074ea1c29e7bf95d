import { asInfraError, InfraError } from "../../core/errors.ts";
import { type Citadel, type CitadelEvent, IngestError } from "../../providers/citadel/port.ts";
import type { AuditRow } from "../store/schema.ts";
import type { Destination, QueuedRow } from "./outbox.ts";

/** In ms, for all calls of a batch. The store ends a transaction that is idle for a minute. */
const BATCH_DEADLINE = 30_000;
/** After so many consecutive failures the cause is Citadel, not the events. */
const OUTAGE = 3;

interface DeliveryOptions extends Destination {
  readonly citadel: Pick<Citadel, "ingest">;
  /** For one call, in ms. */
  readonly deadline: number;
}

/** The result for each event of a batch. Events that are in no list were not sent. */
export interface Delivery {
  readonly shipped: readonly QueuedRow[];
  /** Events that Citadel refused one by one. PoisonDetector decides whether the refusal is final. */
  readonly refused: readonly { readonly row: QueuedRow; readonly reason: string }[];
  /** Events that failed one by one, and are tried again later. */
  readonly failed: readonly { readonly row: QueuedRow; readonly error: InfraError }[];
  /** Set if no event can be shipped now. */
  readonly outage?: InfraError;
}

/** Ships a batch, each project's events in order. Never rejects. */
export async function deliver(to: DeliveryOptions, rows: readonly QueuedRow[]): Promise<Delivery> {
  const batch = await send(to, rows);
  if (batch.outage?.status !== 500 || rows.length === 1) return batch;
  const settled = new Set([...batch.shipped, ...batch.refused.map(({ row }) => row)]);
  const rest = await deliverOneByOne(
    to,
    rows.filter((row) => !settled.has(row)),
  );
  return {
    ...rest,
    shipped: [...batch.shipped, ...rest.shipped],
    refused: [...batch.refused, ...rest.refused],
  };
}

/** Finds the event that makes Citadel answer 500, so that it delays only its own project. */
async function deliverOneByOne(to: DeliveryOptions, rows: readonly QueuedRow[]): Promise<Delivery> {
  const shipped: QueuedRow[] = [];
  const refused: { row: QueuedRow; reason: string }[] = [];
  const failed: { row: QueuedRow; error: InfraError }[] = [];
  const delayedProjects = new Set<string | null>();
  const end = performance.now() + BATCH_DEADLINE;
  let consecutiveFailures = 0;
  for (const row of rows) {
    if (delayedProjects.has(row.project_id)) continue;
    if (performance.now() > end) break;
    const one = await send(to, [row]);
    shipped.push(...one.shipped);
    refused.push(...one.refused);
    consecutiveFailures = one.outage ? consecutiveFailures + 1 : 0;
    if (!one.outage) continue;
    if (consecutiveFailures === OUTAGE || one.outage.status !== 500) {
      return { shipped, refused, failed, outage: one.outage };
    }
    failed.push({ row, error: one.outage });
    delayedProjects.add(row.project_id);
  }
  return { shipped, refused, failed };
}

/** One call of Citadel. */
async function send(to: DeliveryOptions, rows: readonly QueuedRow[]): Promise<Delivery> {
  const { citadel, tenant, platform, deadline } = to;
  try {
    const events = rows.map((row) => citadelEvent(row, platform));
    const report = await citadel.ingest(tenant, events, { deadline });
    return split(rows, rows.length, report.refused);
  } catch (error) {
    const outage = asInfraError(error);
    if (!(error instanceof IngestError)) return { shipped: [], refused: [], failed: [], outage };
    return { ...split(rows, error.done, error.report.refused), outage };
  }
}

/** Only the first `done` rows were sent. */
function split(
  rows: readonly QueuedRow[],
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

/**
 * A row as a Citadel event. A row that is sent again has the same `event_id`. With `hash`, Citadel's
 * copy can be compared with the audit log.
 */
function citadelEvent(row: AuditRow, platform: string): CitadelEvent {
  const { id, at, action, project_id, actor, result, duration_ms, component, details, hash } = row;
  return {
    message: [action, project_id, result].filter((word) => word !== null).join(" "),
    level: result === "failure" ? "error" : "info",
    timestamp: at.toISOString(),
    service: "rdev-infra",
    environment: platform,
    target: "audit",
    fields: {
      event_id: id,
      action,
      actor,
      result,
      component,
      details,
      hash,
      ...(project_id !== null && { project_id }),
      ...(duration_ms !== null && { duration_ms }),
    },
  };
}

/**
 * Distinguishes an event that Citadel will never take from a Citadel, or a proxy in front of it, that
 * refuses every event. A refusal is final only if another event was taken in the same batch, or since
 * the first refusal. Until then the event is tried again, and its project's events wait.
 */
export class PoisonDetector {
  /** Deliveries of which at least one event was taken. */
  #successes = 0;
  /** For each refused row, by id: `#successes` at its first refusal. */
  readonly #successesAtRefusal = new Map<number, number>();

  /** Keeps final refusals as refused, and turns the others into failures. */
  confirm(delivery: Delivery): Delivery {
    const { shipped, refused, failed } = delivery;
    if (shipped.length > 0) this.#successes += 1;
    for (const { id } of shipped) this.#successesAtRefusal.delete(id);
    const final = refused.filter(({ row }) => this.#isFinal(row.id, shipped.length > 0));
    // Postponing the first event of a project delays the others.
    const firsts = new Map<string | null, (typeof refused)[number]>();
    for (const refusal of refused) {
      const { row } = refusal;
      if (final.includes(refusal)) this.#successesAtRefusal.delete(row.id);
      else {
        if (!this.#successesAtRefusal.has(row.id)) {
          this.#successesAtRefusal.set(row.id, this.#successes);
        }
        if (!firsts.has(row.project_id)) firsts.set(row.project_id, refusal);
      }
    }
    const postponed = [...firsts.values()].map(({ row, reason }) => ({
      row,
      error: new InfraError("RDEV_REFUSED", `Citadel took none of the events: ${reason}`),
    }));
    return { ...delivery, refused: final, failed: [...failed, ...postponed] };
  }

  #isFinal(id: number, othersTaken: boolean): boolean {
    if (othersTaken) return true;
    return (this.#successesAtRefusal.get(id) ?? this.#successes) < this.#successes;
  }
}
