import { fluentBit } from "./engine.ts";

/** A suite that needs the real engine: without one on PATH its tests are skipped, and say so. */
export function describeEngine(title: string, suite: (this: Mocha.Suite) => void): void {
  if (fluentBit) describe(title, suite);
  // Skipped whole: hooks would tear down what was never set up.
  else describe.skip(`${title} (skipped: there is no \`fluent-bit\` on PATH)`, suite);
}
