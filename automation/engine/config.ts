import { isDeepStrictEqual } from "node:util";
import type { LocalWorkspace, StackSettings } from "@pulumi/pulumi/automation/index.js";
import { parseProjectConfig } from "../../core/settings.ts";
import type { StackName } from "../../core/stack-name.ts";

/** A stack's settings by name, as `{ name: "My app", sizes: { replicas: 2 } }`. */
export type StackConfig = Readonly<Record<string, string | object>>;

/**
 * Throws RDEV_SETTINGS for a project's config before it is stored. A platform's is checked by its
 * program: here it may be given in part.
 */
export function checkConfig(name: StackName, config: StackConfig): void {
  if (name.kind === "project") parseProjectConfig(asText(config));
}

/** Stores config in the stack's file, `Pulumi.<stack>.yaml`; nothing runs when it is there already. */
export async function storeConfig(
  workspace: LocalWorkspace,
  stack: string,
  config: StackConfig,
): Promise<void> {
  const { name: project } = await workspace.projectSettings();
  const file = await workspace.stackSettings(stack).catch((): undefined => undefined);
  if (!file) {
    // Without the command, which would take a third of a second.
    const named: StackSettings["config"] = {};
    for (const [key, value] of Object.entries(config)) named[`${project}:${key}`] = value;
    return workspace.saveStackSettings(stack, { config: named });
  }
  const stored = file.config ?? {};
  const wanted = Object.entries(config).filter(
    ([key, value]) => !isDeepStrictEqual(stored[`${project}:${key}`], value),
  );
  if (wanted.length === 0) return;
  const entries = wanted.map(([key, value]) => [
    `${project}:${key}`,
    {
      value: textOf(value),
      ...(typeof value === "object" && { objectValue: value }),
      secret: false,
    },
  ]);
  await workspace.setAllConfigJson(stack, JSON.stringify(Object.fromEntries(entries)));
}

function asText(config: StackConfig): Record<string, string> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, textOf(value)]));
}

function textOf(value: string | object): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
