import { Gauge, type Registry } from "prom-client";

interface GaugeOf<T> {
  readonly name: string;
  readonly help: string;
  readonly field: keyof T;
}

/** Registers gauges. Each scrape calls `read`; a gauge is NaN if it rejects, as when PostgreSQL is down. */
export function registerGauges<T extends Record<keyof T, number>>(
  registry: Registry,
  gauges: readonly GaugeOf<T>[],
  read: () => Promise<T>,
): void {
  for (const { name, help, field } of gauges) {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const counts = await read().catch(() => undefined);
        this.set(counts?.[field] ?? Number.NaN);
      },
    });
  }
}
