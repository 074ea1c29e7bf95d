import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runPulumi } from "../../automation/engine/command.ts";

interface Exported {
  readonly deployment: { readonly resources: readonly { readonly type: string }[] };
}

/** Removes all resources of a type from a stack's state, as if an older version had written it. */
export async function withoutResources(stack: string, workDir: string, type: string) {
  const text = await runPulumi(["stack", "export", "--stack", stack], { workDir });
  const state = JSON.parse(text) as Exported;
  const resources = state.deployment.resources.filter((resource) => resource.type !== type);
  const file = join(workDir, `${stack}.edited.json`);
  await writeFile(
    file,
    JSON.stringify({ ...state, deployment: { ...state.deployment, resources } }),
  );
  await runPulumi(["stack", "import", "--stack", stack, "--file", file], { workDir });
  await rm(file);
}
