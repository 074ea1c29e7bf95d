import { fluentBit } from "./engine.ts";

/** A suite that needs the real engine: without one on PATH its tests count as skipped, and say so. */
export function describeEngine(title: string, suite: (this: Mocha.Suite) => void): void {
  if (fluentBit) describe(title, suite);
  else describe.skip(`${title} (skipped: there is no \`fluent-bit\` on PATH)`, suite);
}
