import { type Command, InvalidArgumentError, Option } from "commander";
import type { Entry, Subject } from "../../automation/logs/logs.ts";
import { EXIT } from "../exit-codes.ts";
import { entryLine } from "../logs/entry-line.ts";
import { range } from "../span.ts";

interface Options {
  readonly project?: string;
  readonly platform?: true;
  readonly group?: string;
  readonly all?: true;
  readonly last: string;
  readonly limit: number;
  readonly follow?: true;
  readonly json?: true;
}

const WHOSE = ["project", "platform", "group", "all"] as const;

const EXAMPLES = `
Examples:
  rdev-infra logs "level:error" --project my-app
  rdev-infra logs "component:build level:error" --platform --last 24h
  rdev-infra logs "duration_ms:>5000 component:http" --platform --follow
  rdev-infra logs "level:error" --group projects --json`;

export function addLogs(program: Command): void {
  const command = program
    .command("logs <query>")
    .description("the log lines that match a query in CPL")
    .addOption(whose("--project <slug>", "of one project"))
    .addOption(whose("--platform", "of the platform"))
    .addOption(whose("--group <name>", "of a tenant group, as projects"))
    .addOption(whose("--all", "of the whole organization"))
    .option("--last <time>", "as 30m, 1h or 7d", range, "1h")
    .option("--limit <lines>", "the newest so many, 1 to 500", limitOf, 100)
    .option("-f, --follow", "go on with the lines that come, until Ctrl-C")
    .option("--json", "each line as JSON")
    .addHelpText("after", EXAMPLES);
  command.action(async (query: string, options: Options) => {
    const subject = subjectOf(options);
    if (!subject) {
      return command.error(
        "error: say whose logs: --project <slug>, --platform, --group <name> or --all",
      );
    }
    process.exitCode = await (options.follow ? followed : searched)(subject, query, options);
  });
}

function whose(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.conflicts(WHOSE.filter((other) => other !== option.attributeName()));
}

function limitOf(text: string): number {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 500) return limit;
  throw new InvalidArgumentError("It is no number from 1 to 500.");
}

function subjectOf({ project, platform, group, all }: Options): Subject | undefined {
  if (project !== undefined) return { project };
  if (group !== undefined) return { group };
  if (platform) return { platform };
  return all && { all };
}

async function searched(subject: Subject, cpl: string, options: Options): Promise<number> {
  const { last, limit } = options;
  const { searchLogs } = await import("../../automation/logs/logs.ts");
  const { entries, total } = await searchLogs(subject, cpl, { range: last, limit });
  for (const entry of entries.toReversed()) print(entry, options);
  if (total === 0) console.error(`No line of the last ${last} matches.`);
  if (total > entries.length) {
    console.error(`The newest ${entries.length} of ${total} lines; --limit gives up to 500.`);
  }
  return EXIT.done;
}

async function followed(subject: Subject, cpl: string, options: Options): Promise<number> {
  const { last, limit } = options;
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  process.stdout.on("error", interrupt); // who read the pipe is gone
  const { followLogs } = await import("../../automation/logs/logs.ts");
  const note = (text: string) => console.error(text);
  const signal = stop.signal;
  for await (const entry of followLogs(subject, cpl, { range: last, limit, signal, note })) {
    print(entry, options);
  }
  return EXIT.interrupted;
}

function print(entry: Entry, { json }: Options): void {
  console.log(json ? JSON.stringify(entry) : entryLine(entry));
}
