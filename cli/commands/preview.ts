import type { Command } from "commander";
import { collectConfig, type ConfigOption } from "../config-option.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { show, type CommonOptions } from "../operation.ts";
import { countOfChanges } from "../text.ts";

interface Options extends CommonOptions {
  readonly config?: ConfigOption;
  readonly expectNoChanges?: boolean;
}

export function addPreview(program: Command): void {
  program
    .command("preview <stack>")
    .description("what up would change")
    .option("-c, --config <key=value>", "a setting, kept in the stack's file", collectConfig)
    .option("--expect-no-changes", "exit with 3 when there are changes")
    .option("--diff", "name the properties that differ")
    .option("--work-dir <folder>", "where Pulumi.yaml and the stacks' files are")
    .option("--json", "events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const { config, expectNoChanges } = options;
      const outcome = await show(
        { operation: "preview", stack, tense: "would" },
        options,
        (engine, common) => engine.preview(stack, { ...common, ...(config && { config }) }),
      );
      const unexpected =
        expectNoChanges && outcome.result === "succeeded" && countOfChanges(outcome.changes) > 0;
      process.exitCode = unexpected ? EXIT.changes : exitCode(outcome);
    });
}
