import Mocha from "mocha";
import { EndOfRun } from "./end-of-run.ts";

/** Mocha's own reporter, and as the very last line the counts. */
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    // Mocha stops the servers after the last test: only at the exit nothing more is printed.
    process.once("exit", () => {
      const { passes, failures, pending } = this.stats;
      const failed = failures + EndOfRun.failures;
      console.log(`${passes} passed, ${failed} failed, ${pending} skipped`);
    });
  }
}
