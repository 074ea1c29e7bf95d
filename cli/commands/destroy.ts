import type { Command } from "commander";
import type { Owner } from "../../core/ownership.ts";
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
      let owner: Owner | undefined;
      const code = await confirmed(
        options,
        () =>
          show({ operation: "destroy", stack, tense: "would" }, options, (engine, common) =>
            engine.previewDestroy(stack, common),
          ),
        () =>
          show({ operation: "destroy", stack, tense: "past" }, options, (engine, common) =>
            record({ stack, operation: "destroy", remove }, async () => {
              if (remove) owner = await ownerOf(stack, options);
              return engine.destroy(stack, { ...common, remove });
            }),
          ),
      );
      process.exitCode =
        code === EXIT.done && owner ? await whatIsLeft(stack, owner, options) : code;
    });
}

/** Pulumi's SDK, which comes with it, loads slowly. */
const loading = () => import("../what-is-left.ts");

/** Undefined where the state cannot be read: the destroy then says why. */
async function ownerOf(stack: string, { workDir }: Options): Promise<Owner | undefined> {
  return (await loading()).ownerBeforeDestroy(stack, workDir).catch(() => undefined);
}

async function whatIsLeft(stack: string, owner: Owner, options: Options): Promise<number> {
  const { tellWhatIsLeft } = await loading();
  return (await tellWhatIsLeft(stack, owner, options)) ? EXIT.done : EXIT.failed;
}
