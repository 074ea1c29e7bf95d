import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pulumiVariables } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { parsePlatformSettings, type PlatformSettings } from "../../core/settings.ts";
import type { StackName } from "../../core/stack-name.ts";
import { failedBecause, runPulumi } from "./command.ts";
import { PACKAGE } from "./folders.ts";
import { missingPassphrase } from "./messages.ts";

/** With these backends, Pulumi encrypts secrets with a passphrase unless the stack's file says otherwise. */
const PASSPHRASE_BACKEND = /^(file|s3|gs|azblob|postgres|postgresql):/;

type ProjectStack = Extract<StackName, { kind: "project" }>;

/** Throws RDEV_CONNECTION if the stack's secrets need a passphrase and none is set. */
export async function requirePassphrase(workDir: string, stack: string): Promise<void> {
  const { backend = "", hasPassphrase } = pulumiVariables();
  if (hasPassphrase || !PASSPHRASE_BACKEND.test(backend)) return;
  const settings = await readFile(join(workDir, `Pulumi.${stack}.yaml`), "utf8").catch(() => "");
  if (/^secretsprovider: (?!passphrase)/m.test(settings)) return;
  throw missingPassphrase();
}

/** Throws RDEV_PLATFORM if the platform of a project was never brought up in this backend. */
export async function requirePlatform(
  name: StackName,
  workDir: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (name.kind === "platform") return;
  await platformOutputs(name, workDir, signal);
}

/** The settings of a project's platform. Throws RDEV_PLATFORM if it was never brought up. */
export async function platformSettingsOf(
  name: ProjectStack,
  workDir: string = PACKAGE,
): Promise<PlatformSettings> {
  const { settings } = await platformOutputs(name, workDir);
  return parsePlatformSettings((settings ?? {}) as Record<string, unknown>);
}

async function platformOutputs(
  { platform, slug }: ProjectStack,
  workDir: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const missing = (problem: string) =>
    new InfraError(
      "RDEV_PLATFORM",
      `The project ${slug} needs the platform "${platform}", whose stack ${problem}. ` +
        `Bring it up first: rdev-infra up ${platform}`,
    );
  try {
    const command = ["stack", "output", "--json", "--stack", platform];
    const text = await runPulumi(command, { workDir, signal });
    const outputs = JSON.parse(text) as Record<string, unknown>;
    if (Object.keys(outputs).length === 0) throw missing("has no outputs");
    return outputs;
  } catch (error) {
    if (failedBecause(error, "stack-not-found")) throw missing("does not exist in this backend");
    throw error;
  }
}
