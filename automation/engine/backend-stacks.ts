import { z } from "zod";
import { connectionSecrets } from "../../core/connections.ts";
import { problems } from "../../core/errors.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { CommandFailure, installedPulumi, runPulumi } from "./command.ts";
import { commandFailure } from "./messages.ts";
import { listingVariables } from "./quirks/postgres-listing.ts";

const listing = z.array(z.looseObject({ name: z.string(), resourceCount: z.int().optional() }));

/** The stack of a platform or a project in the backend. */
export interface BackendStack {
  readonly stack: string;
  readonly name: StackName;
  /** It has a record but no resources. */
  readonly isEmpty: boolean;
}

/** The stacks of platforms and projects in the backend, sorted by name. Throws an InfraError. */
export async function backendStacks(
  workDir: string,
  signal?: AbortSignal,
): Promise<BackendStack[]> {
  await installedPulumi();
  try {
    const options = { workDir, signal, env: listingVariables() };
    const text = await runPulumi(["stack", "ls", "--json"], options);
    const stacks = listing.parse(JSON.parse(text)).flatMap(({ name: stack, resourceCount }) => {
      const name = nameOf(stack);
      return name ? [{ stack, name, isEmpty: resourceCount === 0 }] : [];
    });
    return stacks.toSorted((a, b) => (a.stack < b.stack ? -1 : 1));
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw commandFailure(error.stderr, "", connectionSecrets());
  }
}

/** Throws RDEV_IN_USE with their names if a platform still has projects. */
export async function requireNoProjects(
  name: StackName,
  workDir: string,
  signal?: AbortSignal,
): Promise<void> {
  if (name.kind === "project") return;
  const { platform } = name;
  const projects = (await backendStacks(workDir, signal)).filter(
    (each) => each.name.kind === "project" && each.name.platform === platform && !each.isEmpty,
  );
  if (projects.length === 0) return;
  throw problems(
    "RDEV_IN_USE",
    `Nothing was done: the platform "${platform}" still has projects, and deleting it would leave them ` +
      "half deleted. Destroy each of them first (rdev-infra destroy <stack> --remove):",
    projects.map(({ stack }) => stack),
  );
}

function nameOf(stack: string): StackName | undefined {
  try {
    return parseStackName(stack);
  } catch {
    return undefined;
  }
}
