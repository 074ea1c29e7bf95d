import { findCommand } from "../../sandbox/process.ts";
import { missingForNode } from "../../sandbox/node/preflight.ts";

/** Building the node's programs on a fresh machine takes minutes. */
const START_TIMEOUT_MS = 30 * 60_000;

/** Skips the rest of a `before` hook, and its tests, on a machine that cannot run a real node. */
export async function skipWithoutNode(hook: Mocha.Context): Promise<void> {
  const missing = await missingForNode();
  if (missing.length > 0) {
    console.error(`skipped: a real node needs ${missing.join("; ")}`);
    hook.skip();
  }
  hook.timeout(START_TIMEOUT_MS);
}

/** Does the same on a machine that has no Fluent Bit for the log agent. */
export async function skipWithoutAgent(hook: Mocha.Context): Promise<void> {
  if (!(await findCommand("fluent-bit"))) {
    console.error("skipped: the log agent on a real node needs `fluent-bit` in PATH");
    hook.skip();
  }
  await skipWithoutNode(hook);
}
