import { relative } from "node:path";
import Mocha from "mocha";
import { EndOfRun } from "./end-of-run.ts";

interface Timed {
  readonly title: string;
  readonly file: string;
  readonly ms: number;
}

const { EVENT_HOOK_END, EVENT_RUN_END, EVENT_TEST_END } = Mocha.Runner.constants;

/**
 * Mocha's spec reporter, with the counts as the very last line. The reporter option `slowest=20` also
 * lists the 20 slowest tests and hooks, and the 20 slowest files with their tests and hooks together.
 */
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { slowest } = (options.reporterOptions ?? {}) as { slowest?: string };
    if (slowest !== undefined) listSlowest(runner, Number(slowest));
    // Stopping the servers prints more lines after the last test, so this waits for the exit.
    process.once("exit", () => {
      const { passes, failures, pending } = this.stats;
      const failed = failures + EndOfRun.failures;
      console.log(`${passes} passed, ${failed} failed, ${pending} skipped`);
    });
  }
}

function listSlowest(runner: Mocha.Runner, count: number): void {
  const timed: Timed[] = [];
  const add = (runnable: Mocha.Runnable) => {
    const file = runnable.file ?? runnable.parent?.file;
    if (file === undefined || runnable.duration === undefined) return;
    const title = runnable.fullTitle();
    timed.push({ title, file: relative(process.cwd(), file), ms: runnable.duration });
  };
  runner.on(EVENT_TEST_END, add);
  runner.on(EVENT_HOOK_END, add);
  runner.once(EVENT_RUN_END, () => {
    const files = Map.groupBy(timed, ({ file }) => file);
    const sums = [...files].map(([file, each]) => {
      const ms = each.reduce((sum, one) => sum + one.ms, 0);
      return { text: `${file} (${each.length})`, ms };
    });
    table(
      "slowest tests",
      count,
      timed.map(({ title, ms }) => ({ text: title, ms })),
    );
    table("slowest files", count, sums);
  });
}

function table(title: string, count: number, rows: { text: string; ms: number }[]): void {
  const slowest = rows.sort((a, b) => b.ms - a.ms).slice(0, count);
  const lines = slowest.map(({ text, ms }) => `${(ms / 1000).toFixed(1).padStart(8)} s  ${text}`);
  console.log([`${title}:`, ...lines, ""].join("\n"));
}
