import { isDeepStrictEqual } from "node:util";
import type { LocalWorkspace, StackSettings } from "@pulumi/pulumi/automation/index.js";
import { parseProjectConfig, type ProjectChanges } from "../../core/settings.ts";
import type { StackName } from "../../core/stack-name.ts";

/** A stack's settings by name, for example `{ name: "My app", sizes: { replicas: 2 } }`. */
export type StackConfig = Readonly<Record<string, string | object>>;

/**
 * Throws RDEV_SETTINGS if a project's config is invalid, before it is stored. The config of a platform
 * may be incomplete here, so its program checks it.
 */
export function checkConfig(name: StackName, config: StackConfig): void {
  if (name.kind === "project") projectChangesIn(config);
}

/** The settings that a project's config names. Throws RDEV_SETTINGS. */
export function projectChangesIn(config: StackConfig): ProjectChanges {
  const texts = Object.entries(config).map(([key, value]) => [key, textOf(value)] as const);
  return parseProjectConfig(Object.fromEntries(texts));
}

/** Stores config in `Pulumi.<stack>.yaml`. Runs no command if the file has it already. */
export async function storeConfig(
  workspace: LocalWorkspace,
  stack: string,
  config: StackConfig,
): Promise<void> {
  const { name: project } = await workspace.projectSettings();
  const file = await workspace.stackSettings(stack).catch((): undefined => undefined);
  if (!file) {
    // The SDK writes a new file without a command, which saves a third of a second.
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

function textOf(value: string | object): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
