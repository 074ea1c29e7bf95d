import { connectionSecrets } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { needsPassphrase, type StackSecrets } from "../../core/secrets-provider.ts";
import { CommandFailure, runPulumi } from "../engine/command.ts";
import { commandFailure } from "../engine/messages.ts";
import { secretsInFile } from "../engine/requirements.ts";
import { StackState } from "../engine/state.ts";

/** How the secrets of a stack are encrypted, in its state and in its file. */
export interface FoundSecrets {
  readonly state: StackSecrets | undefined;
  /** Undefined if the stack has no file here, or one that says nothing about secrets. */
  readonly file: StackSecrets | undefined;
}

export async function findSecrets(stack: string, workDir: string): Promise<FoundSecrets> {
  const [state, file] = await Promise.all([
    StackState.find(stack, workDir),
    secretsInFile(workDir, stack),
  ]);
  return { state: state?.secrets, file };
}

/** Whether state and file have this provider, and the file opens what is in the state. */
export function haveProvider({ state, file }: FoundSecrets, provider: string): boolean {
  if (state?.provider !== provider) return false;
  return !file || (file.provider === provider && file.opener === state.opener);
}

/** Throws an InfraError unless the stack's provider alone opens every secret in its state. */
export async function requireReadable(
  stack: string,
  state: StackSecrets,
  workDir: string,
): Promise<void> {
  // A set but empty passphrase opens nothing, whatever PULUMI_CONFIG_PASSPHRASE_FILE says.
  const env = needsPassphrase(state) ? undefined : { PULUMI_CONFIG_PASSPHRASE: "" };
  try {
    // The command decrypts every secret in the state, and prints none.
    await runPulumi(["stack", "output", "--json", "--stack", stack], { workDir, env });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    throw new InfraError(
      "RDEV_CONNECTION",
      `${state.provider} does not open the state: ` +
        commandFailure(error.stderr, stack, connectionSecrets()).message,
    );
  }
}
