import { readdirSync, readFileSync } from "node:fs";
import { WORKER_MARK } from "../automation/worker/environment.ts";

/** The first match wins: the engine's pattern is last, because most other paths contain `pulumi`. */
const NAMES = [
  [/dynamic-provider/, "dynamic resources"],
  [/worker\/main/, "worker"],
  [/plugins\/\S*main\.ts (\w+)/, "$1"],
  [/(pulumi-resource-\w+)/, "$1"],
  [/\bpulumi (up|preview|destroy|refresh)\b/, "engine"],
] as const;

export interface Weight {
  readonly rss: number;
  /** The proportional set size: a page that n processes share counts 1/n for each of them. */
  readonly pss: number;
  readonly parts: string;
}

/** The memory of each worker of this machine, with the processes that it started. */
export function weighWorkers(): Weight[] {
  const marked = Map.groupBy(
    readdirSync("/proc").filter((name) => /^\d+$/.test(name)),
    (pid) =>
      read(pid, "environ")
        .split("\0")
        .find((each) => each.startsWith(`${WORKER_MARK}=`)),
  );
  marked.delete(undefined);
  return [...marked.values()].map((pids) => {
    const weights = pids.map((pid) => ({ name: nameOf(pid), ...weigh(Number(pid)) }));
    const parts = weights
      .toSorted((one, other) => other.pss - one.pss)
      .map(({ name, pss }) => `${name} ${mebibytes(pss)}`);
    return {
      rss: weights.reduce((sum, { rss }) => sum + rss, 0),
      pss: weights.reduce((sum, { pss }) => sum + pss, 0),
      parts: parts.join(", "),
    };
  });
}

export function weigh(pid: number): { rss: number; pss: number } {
  const rollup = read(String(pid), "smaps_rollup");
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0) * 1024;
  return { rss: bytes("Rss"), pss: bytes("Pss") };
}

function nameOf(pid: string): string {
  const words = read(pid, "cmdline").split("\0").join(" ");
  for (const [pattern, name] of NAMES) {
    const found = pattern.exec(words);
    if (found) return name.replace("$1", found[1] ?? "");
  }
  return words.split(" ")[0] ?? "";
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // the process has ended
  }
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
