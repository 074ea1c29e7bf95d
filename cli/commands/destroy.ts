import type { Command } from "commander";
import { confirmed, show, type CommonOptions } from "../operation.ts";
import { actorOption, recorder, type RecorderOptions } from "../recorder.ts";

interface Options extends CommonOptions, RecorderOptions {
  readonly yes?: boolean;
  readonly remove?: boolean;
}

export function addDestroy(program: Command): void {
  program
    .command("destroy <stack>")
    .description("delete all that a stack made")
    .option("-y, --yes", "go ahead without asking")
    .option("--remove", "remove the stack's record too, and a project's config file")
    .addOption(actorOption())
    .option("--work-dir <folder>", "where Pulumi.yaml and the stacks' files are")
    .option("--json", "events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const { remove = false } = options;
      const record = recorder(options);
      process.exitCode = await confirmed(
        options,
        () =>
          show({ operation: "destroy", stack, tense: "would" }, options, (engine, common) =>
            engine.previewDestroy(stack, common),
          ),
        () =>
          show({ operation: "destroy", stack, tense: "past" }, options, (engine, common) =>
            record({ stack, operation: "destroy", remove }, () =>
              engine.destroy(stack, { ...common, remove }),
            ),
          ),
      );
    });
}
