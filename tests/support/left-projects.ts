import { backendStacks } from "../../automation/engine/backend-stacks.ts";
import { runPulumi } from "../../automation/engine/command.ts";
import { destroy } from "../../automation/engine/stack.ts";
import { succeeded } from "./stage.ts";

/**
 * Destroys the projects of earlier tests. Some are left on purpose, such as those of engines that a test
 * killed, whose stacks are still locked.
 */
export async function destroyLeftProjects(workDir: string): Promise<void> {
  for (const { stack, name, isEmpty } of await backendStacks(workDir)) {
    if (name.kind !== "project" || isEmpty) continue;
    await runPulumi(["cancel", "--yes", "--stack", stack], { workDir });
    succeeded(await destroy(stack, { workDir, remove: true }), stack);
  }
}
