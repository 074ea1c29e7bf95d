import type { Command } from "commander";
import { DEFAULT_BLOCK } from "../../core/previews/policies.ts";
import { formerSettings } from "../database.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { show, type CommonOptions } from "../operation.ts";
import { collectConfig, wholeNumber, type ConfigOption } from "../options.ts";
import { countOfChanges } from "../text.ts";
import { previewMany, type PreviewManyOptions } from "./preview-many.ts";
import { addPullRequestOptions } from "./pull-requests.ts";
import { TIMINGS } from "../views/timings.ts";

type Options = CommonOptions & PreviewManyOptions & { readonly config?: ConfigOption };

export function addPreview(program: Command): void {
  const command = program
    .command("preview [stack]")
    .description("show what up would change, in one stack or in many")
    .option("-c, --config <key=value>", "a setting to try out", collectConfig)
    .option("--expect-no-changes", "exit with 3 if there are changes (many stacks: also with 4)")
    .option("--diff", "show the properties that differ")
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option(...TIMINGS)
    .option("--json", "print events and outcome as lines of JSON (many stacks: the report)")
    .optionsGroup("Many stacks:")
    .option("--all", "every stack of the backend")
    .option("--changed <base>", "the stacks that changes since this commit or branch can affect")
    .option("--stacks <names>", "these stacks, separated by commas", (text) => text.split(","))
    .option("--concurrency <number>", "how many at once", wholeNumber(1, 999))
    .option("--block <rules>", "rules that exit with 5 (docs/previews.md)", DEFAULT_BLOCK)
    .option("--report <file>", "write the report as JSON")
    .option("--markdown <file>", "write the report as Markdown")
    .optionsGroup("On the pull request (found by CI's variables; tokens come from variables only):")
    .option("--comment", "keep one comment and a commit status up to date");
  addPullRequestOptions(command);
  command.action(async (stack: string | undefined, options: Options) => {
    const { all, changed, stacks } = options;
    const named = [stack, all, changed, stacks].filter((each) => each !== undefined).length;
    if (named !== 1) {
      return command.error(
        "error: name exactly one of: <stack>, --all, --changed <base> or --stacks <names>",
      );
    }
    process.exitCode =
      stack === undefined ? await previewMany(options) : await previewOne(stack, options);
  });
}

async function previewOne(stack: string, options: Options): Promise<number> {
  const { config, expectNoChanges } = options;
  const formerly = (await formerSettings())(stack);
  const outcome = await show(
    { operation: "preview", stack, tense: "would" },
    options,
    (engine, common) => engine.preview(stack, { ...common, formerly, ...(config && { config }) }),
  );
  const unexpected =
    expectNoChanges && outcome.result === "succeeded" && countOfChanges(outcome.changes) > 0;
  return unexpected ? EXIT.changes : exitCode(outcome);
}
