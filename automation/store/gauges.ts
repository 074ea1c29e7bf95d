import { Gauge, type Registry } from "prom-client";

interface GaugeOf<T> {
  readonly name: string;
  readonly help: string;
  readonly field: keyof T;
}

/** Registers gauges. Each scrape calls `read` once; a gauge is NaN if it rejects, as when PostgreSQL is down. */
export function registerGauges<T extends Record<keyof T, number>>(
  registry: Registry,
  gauges: readonly GaugeOf<T>[],
  read: () => Promise<T>,
): void {
  // A scrape collects all gauges at the same time.
  let reading: Promise<T | undefined> | undefined;
  const readOnce = () =>
    (reading ??= read()
      .catch(() => undefined)
      .finally(() => (reading = undefined)));
  for (const { name, help, field } of gauges) {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const counts = await readOnce();
        this.set(counts?.[field] ?? Number.NaN);
      },
    });
  }
}

interface StateGauge<State extends string> {
  readonly name: string;
  readonly help: string;
  readonly states: readonly State[];
}

interface StateCount<State extends string> {
  readonly state: State;
  readonly count: number;
}

/**
 * Registers a gauge of rows by state. Each scrape calls `read`. A state that it leaves out is 0; nothing is
 * reported if it rejects, as when PostgreSQL is down.
 */
export function registerStateGauge<State extends string>(
  registry: Registry,
  { name, help, states }: StateGauge<State>,
  read: () => Promise<readonly StateCount<State>[]>,
): void {
  new Gauge({
    name,
    help,
    labelNames: ["state"],
    registers: [registry],
    async collect() {
      this.reset();
      const rows = await read().catch(() => undefined);
      if (!rows) return;
      for (const state of states) this.set({ state }, 0);
      for (const { state, count } of rows) this.set({ state }, count);
    },
  });
}
