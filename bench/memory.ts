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

/** The memory of each worker of this machine, with the processes that it started. */
export function weighWorkers(): Weight[] {
  const marked = Map.groupBy(processIds(), (pid) =>
    environmentOf(pid).find((each) => each.startsWith(`${WORKER_MARK}=`)),
  );
  marked.delete(undefined);
  return [...marked.values()].map((pids) => {
    const weights = pids.map((pid) => ({ name: nameOf(pid), pss: proportionalMemoryOf(pid) }));
    const parts = weights
      .toSorted((one, other) => other.pss - one.pss)
      .map(({ name, pss }) => `${name} ${mebibytes(pss)}`);
    return {
      rss: residentMemoryOf(pids),
      pss: weights.reduce((sum, { pss }) => sum + pss, 0),
      parts: parts.join(", "),
    };
  });
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
