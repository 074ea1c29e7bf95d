import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
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
    .option(
      "--remove",
      "remove the stack's record too, and a project's config file; then ask the servers what is left",
    )
    .addOption(actorOption())
    .option("--work-dir <folder>", "where Pulumi.yaml and the stacks' files are")
    .option("--json", "events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const { remove = false } = options;
      const record = recorder(options);
      const code = await confirmed(
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
      process.exitCode = code === EXIT.done && remove ? await whatIsLeft(stack, options) : code;
    });
}

async function whatIsLeft(stack: string, options: Options): Promise<number> {
  const { tellWhatIsLeft } = await import("../what-is-left.ts"); // with Pulumi's SDK, which loads slowly
  return (await tellWhatIsLeft(stack, options)) ? EXIT.done : EXIT.failed;
}
