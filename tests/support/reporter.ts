import Mocha from "mocha";

/** Mocha's own reporter, and as the very last line the counts. */
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    // The servers are stopped after the last test: only at the exit nothing more is printed.
    process.once("exit", () => {
      const { passes, failures, pending } = this.stats;
      console.log(`${passes} passed, ${failures} failed, ${pending} skipped`);
    });
  }
}
