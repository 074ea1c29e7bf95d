import { hasDatabase } from "../core/connections.ts";
import { userMessage } from "../core/errors.ts";
import type { ProjectChanges } from "../core/settings.ts";
import { projectStackName } from "../core/stack-name.ts";
import { withStore } from "./with-store.ts";

export type FormerSettings = (stack: string) => ProjectChanges | undefined;

/**
 * The settings of the projects in the database of DATABASE_URL. A preview needs them only for a stack
 * that was made before stacks recorded their settings, so it goes on without them.
 */
export async function formerSettings(): Promise<FormerSettings> {
  if (!hasDatabase()) return () => undefined;
  try {
    const { Projects } = await import("../automation/store/projects.ts");
    const known = await withStore((store) => new Projects(store).list());
    const settings = new Map(
      known.map((each) => [projectStackName(each.platform, each.slug), each.settings]),
    );
    return (stack) => settings.get(stack);
  } catch (error) {
    console.error(
      `${userMessage(error)} The preview goes on without the projects of DATABASE_URL.`,
    );
    return () => undefined;
  }
}
