import { backendStacks } from "../engine/backend-stacks.ts";

/** The names of all stacks in the backend that are a platform or a project, sorted. */
export async function listStacks(workDir: string, signal?: AbortSignal): Promise<string[]> {
  return (await backendStacks(workDir, signal)).map(({ stack }) => stack);
}
