import assert from "node:assert/strict";
import { execa } from "execa";

/** Runs `npm run demo`, without the variables of the tests' sandbox. Returns the steps that it shows. */
export async function demoSteps(...options: readonly string[]): Promise<string[]> {
  const { PATH, HOME } = process.env;
  const { exitCode, stdout, stderr } = await execa(
    "npm",
    ["run", "--silent", "demo", "--", ...options],
    { env: { PATH, HOME }, extendEnv: false, reject: false },
  );
  assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  return stdout.match(/^✔ .*(?= \d)/gm) ?? [];
}

/** Fails unless each of these texts is part of a step. */
export function assertShown(steps: readonly string[], texts: readonly string[]): void {
  const missing = texts.filter((text) => !steps.some((step) => step.includes(text)));
  assert.deepEqual(missing, [], steps.join("\n"));
}
