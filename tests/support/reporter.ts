import Mocha from "mocha";
import { EndOfRun } from "./end-of-run.ts";

/** Mocha's spec reporter, with the counts as the very last line. */
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    // Stopping the servers prints more lines after the last test, so this waits for the exit.
    process.once("exit", () => {
      const { passes, failures, pending } = this.stats;
      const failed = failures + EndOfRun.failures;
      console.log(`${passes} passed, ${failed} failed, ${pending} skipped`);
    });
  }
}
