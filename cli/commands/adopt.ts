import type { Command } from "commander";
import type { LookUp } from "../../automation/adopt/look-up.ts";
import { actorOption, formerSettings, recorder, type RecorderOptions } from "../database.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { askable, goAhead, show, workFolder, type CommonOptions } from "../operation.ts";
import { collectConfig, type ConfigOption, wholeNumber } from "../options.ts";
import { adoptionLines } from "../views/adoption-lines.ts";
import { TIMINGS } from "../views/timings.ts";
import { adoptMany, type AdoptManyOptions } from "./adopt-many.ts";

interface Options extends CommonOptions, RecorderOptions, AdoptManyOptions {
  readonly config?: ConfigOption;
  readonly from?: string;
}

export function addAdopt(program: Command): void {
  program
    .command("adopt <stack>")
    .description("bring a project's stack up around what exists under its name")
    .option("--dry-run", "only show what exists, whose it is and what would change")
    .option("-y, --yes", "go ahead without asking")
    .option("-c, --config <key=value>", "a setting, kept in the stack's file", collectConfig)
    .option("--from <file>", "adopt every project of a CSV file; <stack> is then the platform")
    .option(
      "--concurrency <number>",
      "with --from: how many at once; default: 2",
      wholeNumber(1, 99),
    )
    .addOption(actorOption())
    .option("--diff", "show the properties that differ")
    .option("--work-dir <folder>", "the folder of Pulumi.yaml and the stacks' files")
    .option(...TIMINGS)
    .option("--json", "print what exists, events and outcome as lines of JSON")
    .action(async (stack: string, options: Options, command: Command) => {
      const { from, config } = options;
      if (from !== undefined && config !== undefined) {
        return command.error("error: with --from, the file names the settings; leave out --config");
      }
      process.exitCode =
        from === undefined ? await adoptOne(stack, options) : await adoptMany(stack, from, options);
    });
}

async function adoptOne(stack: string, options: Options): Promise<number> {
  const { config = {}, dryRun = false, yes = false, json = false } = options;
  if (!dryRun && !askable(options)) return EXIT.usage;
  const [{ adopt, adoptedProject, refusalOf }, { lookUp }, { projectChangesIn }] = await modules();
  const changes = projectChangesIn(config);
  const folder = workFolder(options.workDir);
  const workDir = folder && { workDir: folder };
  const record = recorder(options);
  const formerly = (await formerSettings())(stack);
  const found = await lookUp(await adoptedProject(stack, { ...workDir, changes, formerly }));
  const lines = showFound(stack, found, json);
  const refusal = refusalOf(stack, found);
  if (refusal) throw refusal;
  if (dryRun) return EXIT.done;
  if (!yes && !(await goAhead(() => lines))) {
    console.error("Nothing was changed.");
    return EXIT.failed;
  }
  const outcome = await show(
    { operation: "up", stack, tense: "past" },
    options,
    (_engine, common) =>
      record({ stack, operation: "up", details: { adopt: true, config } }, (known) =>
        adopt(stack, { ...common, formerly: known, config, changes }),
      ),
  );
  return exitCode(outcome);
}

/** Prints what exists, and returns the lines for a person. */
function showFound(stack: string, { found, missing }: LookUp, json: boolean): string[] {
  const lines = adoptionLines(stack, { found, missing });
  if (json) console.log(JSON.stringify({ event: "adoption", stack, found, missing }));
  else for (const line of lines) console.log(line);
  return lines;
}

function modules() {
  return Promise.all([
    import("../../automation/adopt/adopt.ts"),
    import("../../automation/adopt/look-up.ts"),
    import("../../automation/engine/config.ts"),
  ]);
}
