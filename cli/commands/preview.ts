import { InvalidArgumentError, type Command } from "commander";
import { DEFAULT_BLOCK } from "../../core/previews/policies.ts";
import { collectConfig, type ConfigOption } from "../config-option.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { formerSettings } from "../former-settings.ts";
import { show, type CommonOptions } from "../operation.ts";
import { addPullRequestOptions } from "../pull-requests.ts";
import { previews, type PreviewsOptions } from "../previews.ts";
import { countOfChanges } from "../text.ts";

type Options = CommonOptions &
  PreviewsOptions & { readonly config?: ConfigOption; readonly expectNoChanges?: boolean };

export function addPreview(program: Command): void {
  const command = program
    .command("preview [stack]")
    .description("what up would change, in one stack or in many")
    .option("-c, --config <key=value>", "a setting, kept in the stack's file", collectConfig)
    .option("--expect-no-changes", "exit with 3 when there are changes; of many also with 4")
    .option("--diff", "name the properties that differ")
    .option("--work-dir <folder>", "where Pulumi.yaml and the stacks' files are")
    .option("--json", "events and outcome as lines of JSON; of many, the report")
    .optionsGroup("Many stacks:")
    .option("--all", "every stack of the backend")
    .option("--changed <base>", "those that the changes since this commit or branch can touch")
    .option("--stacks <names>", "these, by commas", (text: string) => text.split(","))
    .option("--concurrency <number>", "how many at once", positive)
    .option("--block <rules>", "what exits with 5 (docs/previews.md)", DEFAULT_BLOCK)
    .option("--report <file>", "the report as JSON")
    .option("--markdown <file>", "the report as Markdown")
    .optionsGroup(
      "On the pull request (CI's variables say which; tokens come from variables only):",
    )
    .option("--comment", "keep one comment and a commit status up to date");
  addPullRequestOptions(command);
  command.action(async (stack: string | undefined, options: Options) => {
    const { all, changed, stacks } = options;
    const asked = [stack, all, changed, stacks].filter((given) => given !== undefined).length;
    if (asked !== 1) {
      return command.error(
        "error: say which: <stack>, --all, --changed <base> or --stacks <names>",
      );
    }
    process.exitCode = stack === undefined ? await previews(options) : await single(stack, options);
  });
}

async function single(stack: string, options: Options): Promise<number> {
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

function positive(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is no number from 1 to 999.");
}
