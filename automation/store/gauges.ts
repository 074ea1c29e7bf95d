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
