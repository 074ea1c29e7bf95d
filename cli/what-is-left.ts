import { platformSettingsOf } from "../automation/engine/requirements.ts";
import { findLeftovers, probedSystems } from "../automation/leftovers.ts";
import { ownerOfStack } from "../automation/engine/state.ts";
import { PACKAGE } from "../automation/engine/package.ts";
import type { Owner } from "../core/ownership.ts";
import { parseStackName } from "../core/stack-name.ts";
import { workFolder } from "./operation.ts";
import { WHY_LEFT } from "./why-left.ts";

/** Whom the marks on a stack's objects name: to be read before the stack is destroyed. */
export function ownerBeforeDestroy(stack: string, workDir: string | undefined): Promise<Owner> {
  return ownerOfStack(stack, workFolder(workDir) ?? PACKAGE);
}

/**
 * Asks the servers what a project that was destroyed has left, and tells it. Whether nothing is left
 * but what was kept on purpose or was left alone; true for a platform, whose servers are not asked.
 */
export async function tellWhatIsLeft(
  stack: string,
  owner: Owner,
  { json = false, workDir }: { readonly json?: boolean; readonly workDir?: string },
): Promise<boolean> {
  const name = parseStackName(stack);
  if (name.kind === "platform") return true;
  const settings = await platformSettingsOf(name, workFolder(workDir));
  // Archived or locked out it is by a destroy that was to keep it: its settings are gone by now.
  const kept = { retainData: true, retainRepository: true };
  const remaining = await findLeftovers({ slug: name.slug, owner, settings, ...kept });
  const isClean = remaining.every(({ why }) => why === "retained" || why === "not-ours");
  if (json) {
    console.log(JSON.stringify({ event: "remaining", stack, remaining }));
  } else if (remaining.length === 0) {
    console.log(`Nothing is left on ${probedSystems().join(", ")}.`);
  } else {
    for (const { system, what, why } of remaining)
      console.log(`${WHY_LEFT[why]} ${system}: ${what}`);
  }
  return isClean;
}
