import pLimit from "p-limit";
import pTimeout from "p-timeout";
import type { Citadel } from "../../providers/citadel/port.ts";

/** The time that errors are counted in. */
const RANGE = "1h";
/** Queries at once for all callers together, so that lists do not take all of Citadel. */
const CONCURRENCY = 8;
/** In ms: how old a count may be. */
const MAX_AGE = 30_000;
/** In ms: after a failure nothing is asked for so long. */
const AWAY = 15_000;
/** In ms, for all counts of a list together. Those that come later are in the next list. */
const PATIENCE = 2_000;
/** Counts that are kept: more than the pages that people look at. */
const KEPT = 2_000;

interface Count {
  readonly at: number;
  readonly errors: Promise<number | undefined>;
}

/**
 * Counts the errors of environments in the last hour. Citadel counts no groups, so this takes one query
 * for each environment. Never rejects: a count that Citadel does not give in time is left out.
 */
export class ErrorCounts {
  readonly #citadel: Pick<Citadel, "query">;
  readonly #now: () => number;
  readonly #limit = pLimit(CONCURRENCY);
  readonly #counts = new Map<string, Count>();
  #awayUntil = -Infinity;

  constructor(
    citadel: Pick<Citadel, "query">,
    { now = () => performance.now() }: { readonly now?: () => number } = {},
  ) {
    this.#citadel = citadel;
    this.#now = now;
  }

  async of(tenants: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const counted = tenants.map(async (tenant) => {
      const errors = await this.#count(tenant);
      if (errors !== undefined) found.set(tenant, errors);
    });
    await pTimeout(Promise.all(counted), { milliseconds: PATIENCE, fallback: () => undefined });
    return new Map(found);
  }

  #count(tenant: string): Promise<number | undefined> {
    const known = this.#counts.get(tenant);
    if (known && this.#now() < known.at + MAX_AGE) return known.errors;
    const errors = this.#limit(() => this.#ask(tenant));
    this.#counts.delete(tenant); // the map's order is that of the counts, oldest first
    this.#counts.set(tenant, { at: this.#now(), errors });
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > KEPT && oldest !== undefined) this.#counts.delete(oldest);
    return errors;
  }

  async #ask(tenant: string): Promise<number | undefined> {
    if (this.#now() < this.#awayUntil) return this.#forget(tenant);
    try {
      const options = { range: RANGE, limit: 1 };
      return (await this.#citadel.query({ tenant }, "level:error", options)).total;
    } catch {
      this.#awayUntil = this.#now() + AWAY;
      return this.#forget(tenant);
    }
  }

  #forget(tenant: string): undefined {
    this.#counts.delete(tenant);
    return undefined;
  }
}
