import type { Command } from "commander";
import { collectConfig, type ConfigOption } from "../config-option.ts";
import { formerSettings } from "../former-settings.ts";
import { actorOption, recorder, type RecorderOptions } from "../recorder.ts";
import { confirmed, show, type CommonOptions } from "../operation.ts";

interface Options extends CommonOptions, RecorderOptions {
  readonly yes?: boolean;
  readonly config?: ConfigOption;
}

export function addUp(program: Command): void {
  program
    .command("up <stack>")
    .description("bring a stack to what the program says; make it if there is none")
    .option("-y, --yes", "go ahead without asking")
    .option("-c, --config <key=value>", "a setting, kept in the stack's file", collectConfig)
    .addOption(actorOption())
    .option("--diff", "name the properties that differ")
    .option("--work-dir <folder>", "where Pulumi.yaml and the stacks' files are")
    .option("--json", "events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const { config } = options;
      const record = recorder(options);
      process.exitCode = await confirmed(
        options,
        async () => {
          const formerly = (await formerSettings())(stack);
          const asked = { formerly, create: true, transient: true, ...(config && { config }) };
          return show({ operation: "preview", stack, tense: "would" }, options, (engine, common) =>
            engine.preview(stack, { ...common, ...asked }),
          );
        },
        () =>
          show({ operation: "up", stack, tense: "past" }, options, (engine, common) =>
            record({ stack, operation: "up", ...(config && { details: { config } }) }, (formerly) =>
              engine.up(stack, { ...common, formerly, ...(config && { config }) }),
            ),
          ),
      );
    });
}
