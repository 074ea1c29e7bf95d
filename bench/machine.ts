import { cpus, loadavg, totalmem } from "node:os";

/** Describes the machine, and its load before the bench. */
export function machine(): string {
  const all = cpus();
  const load = loadavg()[0] ?? 0;
  return (
    `machine: ${all.length} × ${all[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 20)} MiB, ` +
    `Node ${process.version}, ${process.platform} ${process.arch}, load ${load.toFixed(1)} before`
  );
}

/** A quantile (0.5 is the median) of durations in ms, for display. */
export function milliseconds(durations: readonly number[], quantile: number): string {
  const sorted = durations.toSorted((one, other) => one - other);
  const index = Math.min(sorted.length - 1, Math.floor(sorted.length * quantile));
  return `${(sorted[index] ?? NaN).toFixed(1)} ms`;
}
