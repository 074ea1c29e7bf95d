import type { Command } from "commander";
import type { Owner } from "../../core/ownership.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { actorOption, recorder, type RecorderOptions } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { confirmed, show, workFolder, type CommonOptions } from "../operation.ts";
import { leftoverText } from "../text.ts";
import { timingLines, TIMINGS } from "../views/timings.ts";

interface Options extends CommonOptions, RecorderOptions {
  readonly yes?: boolean;
  readonly remove?: boolean;
}

export function addDestroy(program: Command): void {
  program
    .command("destroy <stack>")
    .description("delete everything that a stack made")
    .option("-y, --yes", "go ahead without asking")
    .option(
      "--remove",
      "also remove the stack's record and a project's config file, then list what is left on the servers",
    )
    .addOption(actorOption())
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option(...TIMINGS)
    .option("--json", "print events and outcome as lines of JSON")
    .action(async (stack: string, options: Options) => {
      const { remove = false } = options;
      const record = recorder(options);
      let owner: Owner | undefined;
      const code = await confirmed(options, {
        preview: (onStep) =>
          show(
            { operation: "destroy", stack, tense: "would" },
            options,
            (engine, common) => engine.previewDestroy(stack, common),
            onStep,
          ),
        run: () =>
          show({ operation: "destroy", stack, tense: "past" }, options, (engine, common) =>
            record({ stack, operation: "destroy", remove }, async () => {
              if (remove) owner = await ownerOf(stack, options);
              return engine.destroy(stack, { ...common, remove });
            }),
          ),
      });
      process.exitCode =
        code === EXIT.done && owner ? await showLeftovers(stack, owner, options) : code;
    });
}

/** Undefined if the state cannot be read: the destroy then says why. */
async function ownerOf(stack: string, { workDir }: Options): Promise<Owner | undefined> {
  const [{ ownerOfStack }, { PACKAGE }] = await Promise.all([
    import("../../automation/engine/state.ts"),
    import("../../automation/engine/folders.ts"),
  ]);
  return ownerOfStack(stack, workFolder(workDir) ?? PACKAGE).catch(() => undefined);
}

/**
 * Asks the servers what a destroyed project left behind, and prints it. A platform's servers are not
 * asked. Returns EXIT.failed if anything is left that was not kept on purpose or is another's.
 */
async function showLeftovers(
  stack: string,
  owner: Owner,
  { json = false, timings = false, workDir }: Options,
): Promise<number> {
  const name = parseStackName(stack);
  if (name.kind === "platform") return EXIT.done;
  const [{ platformSettingsOf }, { findLeftovers, probedSystems }, { withTimeline }] =
    await Promise.all([
      import("../../automation/engine/requirements.ts"),
      import("../../automation/leftovers.ts"),
      import("../../automation/engine/timeline.ts"),
    ]);
  const settings = await platformSettingsOf(name, workFolder(workDir));
  // The settings that said whether to keep them are gone by now. A database or repository that is
  // locked or archived was kept by the destroy.
  const kept = { retainData: true, retainRepository: true };
  const { remaining, steps } = await withTimeline(async (timeline) => {
    const found = await findLeftovers({ slug: name.slug, owner, settings, ...kept });
    return { remaining: found, steps: timeline.timings };
  });
  if (timings && !json) console.log(timingLines(steps).join("\n"));
  if (json) console.log(JSON.stringify({ event: "remaining", stack, remaining }));
  else if (remaining.length === 0) console.log(`Nothing is left on ${probedSystems().join(", ")}.`);
  else for (const leftover of remaining) console.log(leftoverText(leftover));
  const isClean = remaining.every(({ why }) => why === "retained" || why === "not-ours");
  return isClean ? EXIT.done : EXIT.failed;
}
