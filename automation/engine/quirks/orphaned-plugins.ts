/**
 * Pulumi's plugin for dynamic resources keeps running when its engine is killed.
 *
 * Reason: other plugins watch their engine and exit; this one does not, and it runs in a process group
 * of its own, so a signal to the engine's group does not reach it either.
 * Workaround: whoever kills an engine also kills the engine's children.
 * Upstream: https://github.com/pulumi/pulumi/issues/8696 reports provider processes left running.
 * Seen in: @pulumi/pulumi 3.259.0.
 * Remove it when: the contract test in tests/automation/engine/quirks fails.
 */
import type { ChildProcess } from "node:child_process";
import { childrenOf, killProcess } from "../../processes/processes.ts";

/** Kills the engine and its plugins at once. What they were doing stays in the state as pending. */
export function killEngine(engine: ChildProcess): void {
  const plugins = engine.pid === undefined ? [] : childrenOf(engine.pid);
  engine.kill("SIGKILL");
  plugins.forEach(killProcess);
}
