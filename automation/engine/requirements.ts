import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pulumiVariables } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { parsePlatformSettings, type PlatformSettings } from "../../core/settings.ts";
import type { StackName } from "../../core/stack-name.ts";
import { CommandFailure, runPulumi } from "./command.ts";
import { isStackNotFound, missingPassphrase } from "./messages.ts";
import { PACKAGE } from "./package.ts";

/** Backends that leave the encryption of secrets to a passphrase, unless the stack says otherwise. */
const PASSPHRASE_BACKEND = /^(file|s3|gs|azblob|postgres|postgresql):/;

type ProjectStack = Extract<StackName, { kind: "project" }>;

/** Throws RDEV_CONNECTION when the stack's secrets need a passphrase and none is given. */
export async function requirePassphrase(workDir: string, stack: string): Promise<void> {
  const { backend = "", hasPassphrase } = pulumiVariables();
  if (hasPassphrase || !PASSPHRASE_BACKEND.test(backend)) return;
  const settings = await readFile(join(workDir, `Pulumi.${stack}.yaml`), "utf8").catch(() => "");
  if (/^secretsprovider: (?!passphrase)/m.test(settings)) return;
  throw missingPassphrase();
}

/** Throws RDEV_PLATFORM when a project's platform was never brought up in this backend. */
export async function requirePlatform(
  name: StackName,
  workDir: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (name.kind === "platform") return;
  await platformOutputs(name, workDir, signal);
}

/** The settings of a project's platform. Throws RDEV_PLATFORM when it was never brought up. */
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
  const missing = (what: string) =>
    new InfraError(
      "RDEV_PLATFORM",
      `The project ${slug} is to stand on the platform "${platform}", whose stack ${what}. ` +
        `Bring it up first: rdev-infra up ${platform}`,
    );
  try {
    const command = ["stack", "output", "--json", "--stack", platform];
    const text = await runPulumi(command, { workDir, ...(signal && { signal }) });
    const outputs = JSON.parse(text) as Record<string, unknown>;
    if (Object.keys(outputs).length === 0) throw missing("has no outputs");
    return outputs;
  } catch (error) {
    if (error instanceof CommandFailure && isStackNotFound(error.stderr)) {
      throw missing("does not exist in this backend");
    }
    throw error;
  }
}
