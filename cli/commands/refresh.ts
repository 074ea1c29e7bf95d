import type { Command } from "commander";
import { actorOption, recorder, type RecorderOptions } from "../database.ts";
import { confirmed, hasTerminal, show, type CommonOptions } from "../operation.ts";

interface Options extends CommonOptions, RecorderOptions {
  readonly yes?: boolean;
}

export function addRefresh(program: Command): void {
  program
    .command("refresh <stack>")
    .description("update a stack's state to what the servers have")
    .option("-y, --yes", "go ahead without asking (on a terminal it asks first)")
    .addOption(actorOption())
    .option("--diff", "show the properties that differ")
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option("--json", "print events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const record = recorder(options);
      // A refresh changes no server, so scripts need no --yes.
      const yes = options.yes || options.json || !hasTerminal();
      process.exitCode = await confirmed(
        { ...options, yes },
        {
          preview: (onStep) =>
            show(
              { operation: "refresh", stack, tense: "would" },
              options,
              (engine, common) => engine.previewRefresh(stack, common),
              onStep,
            ),
          run: () =>
            show({ operation: "refresh", stack, tense: "past" }, options, (engine, common) =>
              record({ stack, operation: "refresh" }, () => engine.refresh(stack, common)),
            ),
        },
      );
    });
}
