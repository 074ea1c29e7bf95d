import type { Command } from "commander";
import { PACKAGE } from "../../automation/engine/folders.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { InfraError } from "../../core/errors.ts";
import { EXIT } from "../exit-codes.ts";
import { workFolder } from "../operation.ts";
import { wholeNumber } from "../options.ts";
import { diagnosisLines } from "../views/diagnosis-lines.ts";

interface Options {
  readonly json?: true;
  readonly workDir?: string;
  readonly deadline?: number;
}

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor [platform]")
    .description(
      "check servers, credentials, rights and addresses before an up, without changing anything; " +
        "exits with 1 if a check failed",
    );
  withOptions(command).action((platform: string | undefined, options: Options) =>
    doctor(platform, options),
  );
}

/** The same checks, for a platform whose settings install the service. An `up` installs it. */
export function addInstall(program: Command): void {
  const command = program
    .command("install <platform>")
    .description(
      "with --check: what the cluster, the variables and the settings lack for the service " +
        "(rdev:service), without changing anything; rdev-infra up installs it",
    )
    .requiredOption("--check", "check, and change nothing");
  withOptions(command).action((platform: string, options: Options) =>
    doctor(platform, options, true),
  );
}

function withOptions(command: Command): Command {
  return command
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option("--deadline <seconds>", "for each check; default: 20", wholeNumber(1, 600))
    .option("--json", "print each check as JSON");
}

async function doctor(
  platform: string | undefined,
  options: Options,
  install = false,
): Promise<void> {
  const { json, workDir, deadline } = options;
  if (platform !== undefined && parseStackName(platform).kind !== "platform") {
    throw new InfraError("RDEV_STACK_NAME", `"${platform}" is a project; name its platform.`);
  }
  const started = performance.now();
  const { diagnose } = await import("../../automation/doctor/doctor.ts");
  const found = await diagnose({
    platform,
    workDir: workFolder(workDir) ?? PACKAGE,
    deadline: deadline && deadline * 1000,
    install,
  });
  const lines = json
    ? found.map((each) => JSON.stringify(each))
    : diagnosisLines(found, performance.now() - started);
  const code = found.some(({ status }) => status === "failed") ? EXIT.failed : EXIT.done;
  // A server that does not answer must not hold the process after its check's deadline.
  process.stdout.write(`${lines.join("\n")}\n`, () => process.exit(code));
}
