import type { Command } from "commander";
import { actorOption, formerSettings, recorder, type RecorderOptions } from "../database.ts";
import { confirmed, show, type CommonOptions } from "../operation.ts";
import { collectConfig, type ConfigOption } from "../options.ts";
import { TIMINGS } from "../views/timings.ts";

interface Options extends CommonOptions, RecorderOptions {
  readonly yes?: boolean;
  readonly config?: ConfigOption;
}

export function addUp(program: Command): void {
  program
    .command("up <stack>")
    .description("create a stack, or update it to match the program")
    .option("-y, --yes", "go ahead without asking")
    .option("-c, --config <key=value>", "a setting, kept in the stack's file", collectConfig)
    .addOption(actorOption())
    .option("--diff", "show the properties that differ")
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option(...TIMINGS)
    .option("--json", "print events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const { config } = options;
      const withConfig = config && { config };
      const record = recorder(options);
      process.exitCode = await confirmed(options, {
        async preview(onStep) {
          const formerly = (await formerSettings())(stack);
          const asked = { formerly, create: true, transient: true, ...withConfig };
          return show(
            { operation: "preview", stack, tense: "would" },
            options,
            (engine, common) => engine.preview(stack, { ...common, ...asked }),
            onStep,
          );
        },
        run: () =>
          show({ operation: "up", stack, tense: "past" }, options, (engine, common) =>
            record({ stack, operation: "up", ...(config && { details: { config } }) }, (formerly) =>
              engine.up(stack, { ...common, formerly, ...withConfig }),
            ),
          ),
      });
    });
}
