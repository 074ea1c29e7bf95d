import { randomUUID } from "node:crypto";
import { copyFile, mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { connectionSecrets } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import type { Outcome } from "../../core/operation.ts";
import { CommandFailure, runPulumi } from "../engine/command.ts";
import { inScratchFolder } from "../engine/folders.ts";
import { commandFailure } from "../engine/messages.ts";
import { operate } from "../engine/operate.ts";
import type { OperationOptions } from "../engine/options.ts";
import { cleanMessage, cliFailure } from "../engine/quirks/cli-text.ts";
import { secretsInFile } from "../engine/requirements.ts";

type Options = OperationOptions & { readonly workDir: string };

/**
 * Encrypts the secrets of a stack's state and file with another provider. Throws an InfraError if the
 * provider cannot be used; other failures are in the outcome.
 *
 * `pulumi stack change-secrets-provider` does not serve: it reads the state before it takes the stack's
 * lock, so an operation that ends in between is lost. Here the stack's file is converted in a folder of
 * its own, and then the engine writes the state under the lock, as after every operation: it encrypts
 * with what the file says. The operation is a refresh that leaves every resource out.
 *
 * If it is killed, the state is whole, the old one or the new one. The file is replaced last.
 */
export async function reencrypt(
  stack: string,
  provider: string,
  { workDir, ...options }: Options,
): Promise<Outcome> {
  return inScratchFolder(workDir, stack, async (copy) => {
    await convertFile(stack, provider, copy);
    const outcome = await operate(
      stack,
      { ...options, workDir: copy, refreshes: true },
      ({ handle, common }) => handle.refresh({ ...common, exclude: ["**"] }),
    );
    if (outcome.result === "succeeded") await replaceFile(stack, copy, workDir);
    return outcome;
  });
}

/** Throws an InfraError if Pulumi cannot encrypt with the provider. */
export async function requireProvider(provider: string, workDir: string): Promise<void> {
  await inScratchFolder(workDir, "", (copy) => convertFile("probe", provider, copy));
}

/** The stack exists in a backend of the folder's own, so that Pulumi converts the file only. */
async function convertFile(stack: string, provider: string, folder: string): Promise<void> {
  const backend = join(folder, "backend");
  await mkdir(backend);
  const env = { PULUMI_BACKEND_URL: `file://${backend}?metadata=skip` };
  const run = (...args: string[]) => runPulumi(["stack", ...args], { workDir: folder, env });
  const before = (await secretsInFile(folder, stack))?.provider ?? provider;
  try {
    await run("init", "--no-select", "--secrets-provider", before, stack);
    if (before !== provider) await run("change-secrets-provider", "--stack", stack, provider);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw providerFailure(error.stderr, stack, provider);
  }
}

/** Without the reason that the provider gave, which is on several lines, nobody could tell what to mend. */
function providerFailure(stderr: string, stack: string, provider: string): InfraError {
  const secrets = connectionSecrets();
  if (cliFailure(stderr) !== undefined) return commandFailure(stderr, stack, secrets);
  const reason = cleanMessage(stderr, secrets).replace(/\s+/g, " ");
  return new InfraError(
    "RDEV_CONNECTION",
    `The secrets provider ${provider} cannot be used: ${reason}`,
  );
}

/** Replaces the stack's file in one step. A folder without one stays without. */
async function replaceFile(stack: string, from: string, to: string): Promise<void> {
  const file = join(to, `Pulumi.${stack}.yaml`);
  if (!(await stat(file).catch(() => undefined))) return;
  const draft = join(to, `.${stack}.${randomUUID()}`);
  try {
    await copyFile(join(from, `Pulumi.${stack}.yaml`), draft);
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}
