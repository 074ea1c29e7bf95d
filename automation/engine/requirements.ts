import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { pulumiVariables } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { needsPassphrase, secretsOfFile, type StackSecrets } from "../../core/secrets-provider.ts";
import { parsePlatformSettings, type PlatformSettings } from "../../core/settings.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { PACKAGE } from "./folders.ts";
import { missingPassphrase } from "./messages.ts";
import { StackState } from "./state.ts";

export type StoredSettings = Readonly<Record<string, unknown>>;

type ProjectStack = Extract<StackName, { kind: "project" }>;

/**
 * Throws RDEV_CONNECTION if the stack's secrets need a passphrase and none is set. Asks only a backend in
 * files: with any other, the engine reports the missing passphrase before it changes anything.
 */
export async function requirePassphrase(workDir: string, stack: string): Promise<void> {
  const { backend = "", hasPassphrase } = pulumiVariables();
  if (hasPassphrase || !backend.startsWith("file:")) return;
  const found = (await secretsInFile(workDir, stack)) ?? (await secretsInBackend(workDir, stack));
  if (!found || needsPassphrase(found)) throw missingPassphrase();
}

/** How the stack's secrets are encrypted, or will be once it exists; undefined if nothing says so. */
async function secretsInBackend(workDir: string, stack: string): Promise<StackSecrets | undefined> {
  const name = parseStackName(stack);
  const state = await StackState.find(stack, workDir).catch(() => undefined);
  if (state || name.kind === "platform") return state?.secrets;
  return secretsInBackend(workDir, name.platform);
}

/** What the stack's file says about its secrets. */
export async function secretsInFile(
  workDir: string,
  stack: string,
): Promise<StackSecrets | undefined> {
  const text = await readFile(join(workDir, `Pulumi.${stack}.yaml`), "utf8").catch(() => "");
  const content = parseDocument(text);
  return content.errors.length > 0 ? undefined : secretsOfFile(content.toJS());
}

/** The settings of a project's platform. Throws RDEV_PLATFORM if it was never brought up. */
export async function platformSettingsOf(
  name: ProjectStack,
  workDir: string = PACKAGE,
): Promise<PlatformSettings> {
  return parsePlatformSettings((await storedPlatform(name, workDir)).settings ?? {});
}

const settingsOutput = z.object({
  settings: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

/** What a project takes from its platform's stack. */
export interface StoredPlatform {
  /** Unchecked. Undefined if another program made the platform's outputs. */
  readonly settings: StoredSettings | undefined;
  /** The secrets of new projects are encrypted like the platform's. */
  readonly secrets: StackSecrets | undefined;
}

/** Reads the stack of a project's platform. Throws RDEV_PLATFORM if it was never brought up. */
export async function storedPlatform(
  { platform, slug }: ProjectStack,
  workDir: string,
  signal?: AbortSignal,
): Promise<StoredPlatform> {
  const missing = (problem: string) =>
    new InfraError(
      "RDEV_PLATFORM",
      `The project ${slug} needs the platform "${platform}", whose stack ${problem}. ` +
        `Bring it up first: rdev-infra up ${platform}`,
    );
  const state = await StackState.find(platform, workDir, signal);
  if (!state) throw missing("does not exist in this backend");
  if (!state.hasOutputs) throw missing("has no outputs");
  return { settings: settingsOutput.parse(state.outputs).settings, secrets: state.secrets };
}
