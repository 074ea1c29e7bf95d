import { connectionSecrets } from "../../core/connections.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { CommandFailure, installedPulumi, runPulumi } from "../engine/command.ts";
import { commandFailure } from "../engine/messages.ts";

/** The names of all stacks in the backend that are a platform or a project, sorted. */
export async function listStacks(workDir: string, signal?: AbortSignal): Promise<string[]> {
  await installedPulumi();
  try {
    const text = await runPulumi(["stack", "ls", "--json"], { workDir, ...(signal && { signal }) });
    const names = (JSON.parse(text) as { readonly name: string }[]).map(({ name }) => name);
    return names.filter(isOurs).toSorted();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw commandFailure(error.stderr, "", connectionSecrets());
  }
}

function isOurs(name: string): boolean {
  try {
    parseStackName(name);
    return true;
  } catch {
    return false;
  }
}
