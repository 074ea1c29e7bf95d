import { fluentBit } from "./engine.ts";

/** A suite that needs the real engine: without one on PATH its tests are skipped, and say so. */
export function describeEngine(title: string, suite: (this: Mocha.Suite) => void): void {
  describe(
    fluentBit ? title : `${title} (skipped: there is no \`fluent-bit\` on PATH)`,
    function () {
      before(function () {
        if (!fluentBit) this.skip();
      });
      suite.call(this);
    },
  );
}
