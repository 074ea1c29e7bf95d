import { platformSettingsOf } from "../automation/engine/requirements.ts";
import { leftovers, systemsAsked } from "../automation/leftovers/leftovers.ts";
import { parseStackName } from "../core/stack-name.ts";
import { workFolder } from "./operation.ts";

/**
 * Asks the servers what a project that was destroyed has left, and tells it. Whether nothing is left
 * but what was kept on purpose; true for a platform, whose servers are not asked.
 */
export async function tellWhatIsLeft(
  stack: string,
  { json = false, workDir }: { readonly json?: boolean; readonly workDir?: string },
): Promise<boolean> {
  const name = parseStackName(stack);
  if (name.kind === "platform") return true;
  const settings = await platformSettingsOf(name, workFolder(workDir));
  // Archived or locked out it is by a destroy that was to keep it: its settings are gone by now.
  const kept = { retainData: true, retainRepository: true };
  const remaining = await leftovers({ slug: name.slug, settings, ...kept });
  const isClean = remaining.every(({ why }) => why === "retained");
  if (json) {
    console.log(JSON.stringify({ event: "remaining", stack, remaining }));
  } else if (remaining.length === 0) {
    console.log(`Nothing is left on ${systemsAsked().join(", ")}.`);
  } else {
    for (const { system, what, why } of remaining) console.log(`${TOLD[why]} ${system}: ${what}`);
  }
  return isClean;
}

const TOLD = { retained: "kept on", left: "still on", unreachable: "not known of" } as const;
