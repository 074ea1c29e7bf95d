import {
  argumentsOf,
  environmentOf,
  processIds,
  proportionalMemoryOf,
  residentMemoryOf,
} from "../automation/processes/processes.ts";
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

/**
 * The memory of each worker of this machine, with the processes that it started and the plugins that
 * the service lends it. If there are several sets of plugins, the largest counts.
 */
export function weighWorkers(): Weight[] {
  const marked = [...markedProcesses()];
  const [lent, workers] = [true, false].map((isLent) =>
    marked.filter(([mark]) => mark.includes("/plugins-") === isLent).map(([, pids]) => weigh(pids)),
  );
  const plugins = lent!.toSorted((one, other) => other.pss - one.pss)[0];
  return workers!.map((worker) => (plugins ? sum(worker, plugins) : worker));
}

/** The proportional set size of all workers and kept plugins of this machine together, in bytes. */
export function memoryOfWorkers(): number {
  return [...markedProcesses().values()].reduce((total, pids) => total + weigh(pids).pss, 0);
}

/** The processes of each worker and each set of plugins, by their mark. */
function markedProcesses(): Map<string, number[]> {
  const marks = Map.groupBy(
    processIds(),
    (pid) => environmentOf(pid).find((each) => each.startsWith(`${WORKER_MARK}=`)) ?? "",
  );
  marks.delete("");
  return marks;
}

function weigh(pids: readonly number[]): Weight {
  const weights = pids.map((pid) => ({ name: nameOf(pid), pss: proportionalMemoryOf(pid) }));
  const parts = weights
    .toSorted((one, other) => other.pss - one.pss)
    .map(({ name, pss }) => `${name} ${mebibytes(pss)}`);
  return {
    rss: residentMemoryOf(pids),
    pss: weights.reduce((total, { pss }) => total + pss, 0),
    parts: parts.join(", "),
  };
}

function sum(one: Weight, other: Weight): Weight {
  return {
    rss: one.rss + other.rss,
    pss: one.pss + other.pss,
    parts: `${one.parts}, ${other.parts}`,
  };
}

function nameOf(pid: number): string {
  const words = argumentsOf(pid).join(" ");
  for (const [pattern, name] of NAMES) {
    const found = pattern.exec(words);
    if (found) return name.replace("$1", found[1] ?? "");
  }
  return words.split(" ")[0] ?? "";
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
