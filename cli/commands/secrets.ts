import type { Command } from "commander";
import type { MovedStack } from "../../automation/secrets/move.ts";
import { PACKAGE } from "../../automation/engine/folders.ts";
import { hasDatabase } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { parseSecretsProvider } from "../../core/secrets-provider.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { actorOption, withStore } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { interruptible, workFolder } from "../operation.ts";

interface Options {
  readonly to: string;
  readonly actor: string;
  readonly dryRun?: true;
  readonly json?: true;
  readonly workDir?: string;
}

export function addSecrets(program: Command): void {
  program
    .command("secrets")
    .description("the encryption of secrets in the stacks' states")
    .command("move <platform>")
    .description(
      "encrypt the secrets of a platform's stacks, and of its projects', with another provider; " +
        "run it again if it was interrupted or left a locked stack",
    )
    .requiredOption("--to <provider>", "passphrase, or the URL of a key: hashivault://my-key")
    .option("--dry-run", "only list the stacks and their providers")
    .addOption(actorOption())
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option("--json", "print each stack as JSON")
    .addHelpText("after", "\ndocs/operations.md says what to set before, and to change after it.")
    .action(move);
}

async function move(platform: string, options: Options): Promise<void> {
  if (parseStackName(platform).kind !== "platform") {
    throw new InfraError("RDEV_STACK_NAME", `"${platform}" is a project; name its platform.`);
  }
  const provider = parseSecretsProvider(options.to);
  const target = { platform, provider, workDir: workFolder(options.workDir) ?? PACKAGE };
  const print = (value: object, text: string) =>
    console.log(options.json ? JSON.stringify(value) : text);
  const { isLeft, moveSecrets, planMove } = await import("../../automation/secrets/move.ts");
  if (options.dryRun) {
    for (const each of await planMove(target)) {
      const todo = each.isMoved ? "nothing to do" : `would move to ${provider}`;
      print(each, `${each.stack}: ${each.from}, ${todo}`);
    }
    return;
  }
  const moved = await interruptible(
    (text) => console.error(text),
    (signals) =>
      recorded(options.actor, { platform, provider }, signals.signal, () =>
        moveSecrets({
          ...target,
          ...signals,
          onDone: (each) => print(each, lineOf(each, provider)),
        }),
      ).then((all) => ({ all, isInterrupted: signals.signal.aborted })),
  );
  const left = moved.all.filter(isLeft);
  if (left.length > 0) console.error(`${left.length} left. Run the same command again.`);
  if (left.length > 0) process.exitCode = EXIT.failed;
  if (moved.isInterrupted) process.exitCode = EXIT.interrupted;
}

/** Records the move in the audit log of DATABASE_URL: its intent before it, and each stack's result. */
async function recorded(
  actor: string,
  details: Readonly<Record<string, string>>,
  signal: AbortSignal,
  run: () => Promise<MovedStack[]>,
): Promise<MovedStack[]> {
  if (!hasDatabase()) return run();
  const { audited, auditLog } = await import("../../automation/audit/log.ts");
  const { auditOfMove } = await import("../../automation/secrets/move.ts");
  return withStore((store) =>
    audited(
      auditLog(store),
      { action: "platform.secrets.move", actor, component: "infra", details },
      run,
      (stacks) => auditOfMove(stacks, signal),
    ),
  );
}

function lineOf({ stack, from, result, problem }: MovedStack, provider: string): string {
  if (result === "moved") return `${stack}: moved from ${from} to ${provider}`;
  if (result === "unchanged") return `${stack}: ${provider} already`;
  return `${stack}: ${result}, left. ${problem ?? ""}`;
}
