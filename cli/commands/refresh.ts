import type { Command } from "commander";
import { exitCode } from "../exit-codes.ts";
import { show, type CommonOptions } from "../operation.ts";
import { actorOption, recorder, type RecorderOptions } from "../recorder.ts";

export function addRefresh(program: Command): void {
  program
    .command("refresh <stack>")
    .description("bring a stack's state to what the servers say")
    .addOption(actorOption())
    .option("--diff", "name the properties that differ")
    .option("--work-dir <folder>", "where Pulumi.yaml and the stacks' files are")
    .option("--json", "events and outcome as lines of JSON")
    .action(async (stack: string, options: CommonOptions & RecorderOptions) => {
      const record = recorder(options);
      process.exitCode = exitCode(
        await show({ operation: "refresh", stack, tense: "past" }, options, (engine, common) =>
          record({ stack, operation: "refresh" }, () => engine.refresh(stack, common)),
        ),
      );
    });
}
