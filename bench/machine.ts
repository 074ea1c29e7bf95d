import { cpus, loadavg, totalmem } from "node:os";

/** What figures were measured on, and what else ran there. */
export function machine(): string {
  const all = cpus();
  const load = loadavg()[0] ?? 0;
  return (
    `machine: ${all.length} × ${all[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 20)} MiB, ` +
    `Node ${process.version}, ${process.platform} ${process.arch}, load ${load.toFixed(1)} before`
  );
}
