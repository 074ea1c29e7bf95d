import * as pulumi from "@pulumi/pulumi";
import { InfraError, userMessage } from "./core/errors.ts";
import type { ProjectChanges } from "./core/settings.ts";
import { parseStackName } from "./core/stack-name.ts";
import { platformStack } from "./stacks/platform.ts";
import { projectStack } from "./stacks/project.ts";

/**
 * The Pulumi program. The stack's name decides whether it makes a platform or a project. `formerly`
 * are the settings of a project whose stack has no record of them yet. `settings` are those of the
 * project's platform. Default: read from the platform's stack, as in a plain `pulumi up`.
 */
export default async function program(
  formerly?: ProjectChanges,
  settings?: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  try {
    const stack = parseStackName(pulumi.getStack());
    return stack.kind === "platform"
      ? await platformStack(stack.platform)
      : await projectStack(stack.platform, stack.slug, formerly, settings);
  } catch (error) {
    // Pulumi prints only the message of a RunError, but the stack trace of any other error.
    throw error instanceof InfraError ? new pulumi.RunError(userMessage(error)) : error;
  }
}
