import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { pulumiVariables } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { parsePlatformSettings, type PlatformSettings } from "../../core/settings.ts";
import type { StackName } from "../../core/stack-name.ts";
import { PACKAGE } from "./folders.ts";
import { missingPassphrase } from "./messages.ts";
import { StackState } from "./state.ts";

/** With these backends, Pulumi encrypts secrets with a passphrase unless the stack's file says otherwise. */
const PASSPHRASE_BACKEND = /^(file|s3|gs|azblob|postgres|postgresql):/;

export type StoredSettings = Readonly<Record<string, unknown>>;

type ProjectStack = Extract<StackName, { kind: "project" }>;

/** Throws RDEV_CONNECTION if the stack's secrets need a passphrase and none is set. */
export async function requirePassphrase(workDir: string, stack: string): Promise<void> {
  const { backend = "", hasPassphrase } = pulumiVariables();
  if (hasPassphrase || !PASSPHRASE_BACKEND.test(backend)) return;
  const settings = await readFile(join(workDir, `Pulumi.${stack}.yaml`), "utf8").catch(() => "");
  if (/^secretsprovider: (?!passphrase)/m.test(settings)) return;
  throw missingPassphrase();
}

/** The settings of a project's platform. Throws RDEV_PLATFORM if it was never brought up. */
export async function platformSettingsOf(
  name: ProjectStack,
  workDir: string = PACKAGE,
): Promise<PlatformSettings> {
  return parsePlatformSettings((await storedPlatformSettings(name, workDir)) ?? {});
}

const settingsOutput = z.object({
  settings: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

/**
 * The settings in the outputs of a project's platform, unchecked. Undefined if another program made
 * the outputs. Throws RDEV_PLATFORM if the platform was never brought up.
 */
export async function storedPlatformSettings(
  { platform, slug }: ProjectStack,
  workDir: string,
  signal?: AbortSignal,
): Promise<StoredSettings | undefined> {
  const missing = (problem: string) =>
    new InfraError(
      "RDEV_PLATFORM",
      `The project ${slug} needs the platform "${platform}", whose stack ${problem}. ` +
        `Bring it up first: rdev-infra up ${platform}`,
    );
  const state = await StackState.find(platform, workDir, signal);
  if (!state) throw missing("does not exist in this backend");
  if (!state.hasOutputs) throw missing("has no outputs");
  return settingsOutput.parse(state.outputs).settings;
}
