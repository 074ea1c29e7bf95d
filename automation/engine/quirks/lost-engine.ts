/**
 * After an engine was killed, no program can run safely in the same process, and calls go on in it.
 *
 * Reason: the SDK takes the loss of the connection to the engine for the end of the program, and reports
 * success. What is left of the killed run can close the connection of the next one. To the next
 * engine, every resource that its program had not declared yet is then one to delete.
 * This process also serves the dynamic resources (dynamic-plugin.ts). It goes on with the calls that
 * the engine was waiting for, also if a second Ctrl-C ended the engine, and another operation could
 * begin meanwhile.
 * Workaround: the process refuses further programs. The service starts a new process for each
 * operation, and ends it. The CLI runs one operation, and ends at once if calls are left.
 * Upstream: https://github.com/pulumi/pulumi/pull/2041 made a program exit with success when its
 * engine is gone; https://github.com/pulumi/pulumi/issues/776 describes resources lost that way.
 * Seen in: @pulumi/pulumi 3.259.0.
 * Remove it when: the contract test in tests/automation/engine/quirks fails.
 */
import { InfraError } from "../../../core/errors.ts";

let isEngineLost = false;

let hasCalls = false;

export function recordLostEngine(): void {
  isEngineLost = true;
}

/** Throws RDEV_ENGINE if an engine of this process was killed. */
export function requireNoLostEngine(): void {
  if (!isEngineLost) return;
  throw new InfraError(
    "RDEV_ENGINE",
    "Pulumi's engine was killed during an earlier operation of this process, so no program can run " +
      "safely in it any more. Run this again in a new process.",
  );
}

/** Records that an engine has ended while this process worked on calls of it. */
export function recordUnfinishedCalls(): void {
  hasCalls = true;
}

/** Whether this process must end without waiting for what it still does. */
export function hasUnfinishedCalls(): boolean {
  return hasCalls;
}
