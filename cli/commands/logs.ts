import { type Command, Option } from "commander";
import type { Entry, LogSubject } from "../../automation/logs/logs.ts";
import { MAX_DAYS } from "../../automation/logs/time-span.ts";
import { EXIT } from "../exit-codes.ts";
import { timeRangeWithin, wholeNumber } from "../options.ts";
import { paint, printable, type Style } from "../text.ts";

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

const SUBJECTS = ["project", "platform", "group", "all"] as const;

const EXAMPLES = `
Examples:
  rdev-infra logs "level:error" --project my-app
  rdev-infra logs "component:build level:error" --platform --last 24h
  rdev-infra logs "duration_ms:>5000 component:http" --platform --follow
  rdev-infra logs "level:error" --group projects --json
  rdev-infra logs "*" --project my-app --follow`;

export function addLogs(program: Command): void {
  const command = program
    .command("logs <query>")
    .description('search log lines with a query in CPL; "*" finds every line')
    .addOption(subject("--project <slug>", "of one project"))
    .addOption(subject("--platform", "of the platform"))
    .addOption(subject("--group <name>", "of a tenant group, such as projects"))
    .addOption(subject("--all", "of the whole organization"))
    .option("--last <time>", "how far back, such as 30m, 1h or 7d", timeRangeWithin(MAX_DAYS), "1h")
    .option("--limit <lines>", "only the newest lines, 1 to 500", wholeNumber(1, 500), 100)
    .option("-f, --follow", "also print new lines, until Ctrl-C")
    .option("--json", "print each line as JSON")
    .addHelpText("after", EXAMPLES);
  command.action(async (query: string, options: Options) => {
    const chosen = subjectOf(options);
    if (!chosen) {
      return command.error(
        "error: name whose logs to search: --project <slug>, --platform, --group <name> or --all",
      );
    }
    process.exitCode = await (options.follow ? follow : search)(chosen, query, options);
  });
}

function subject(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.conflicts(SUBJECTS.filter((other) => other !== option.attributeName()));
}

function subjectOf({ project, platform, group, all }: Options): LogSubject | undefined {
  if (project !== undefined) return { project };
  if (group !== undefined) return { group };
  if (platform) return { platform };
  return all && { all };
}

async function search(chosen: LogSubject, cpl: string, options: Options): Promise<number> {
  const { last, limit } = options;
  const { searchLogs } = await import("../../automation/logs/logs.ts");
  const { entries, total } = await searchLogs(chosen, cpl, { range: last, limit });
  for (const entry of entries.toReversed()) print(entry, options);
  if (total === 0) console.error(`No line of the last ${last} matches.`);
  if (total > entries.length) {
    console.error(`The newest ${entries.length} of ${total} lines; --limit allows up to 500.`);
  }
  return EXIT.done;
}

async function follow(chosen: LogSubject, cpl: string, options: Options): Promise<number> {
  const { last, limit } = options;
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  process.stdout.on("error", interrupt); // the reader of the pipe is gone
  const { followLogs } = await import("../../automation/logs/logs.ts");
  const signal = stop.signal;
  for await (const found of followLogs(chosen, cpl, { range: last, limit, signal })) {
    if ("note" in found) console.error(found.note);
    else print(found, options);
  }
  return EXIT.interrupted;
}

function print(entry: Entry, { json }: Options): void {
  console.log(json ? JSON.stringify(entry) : entryLine(entry));
}

const COLOURS: Readonly<Partial<Record<string, Style>>> = {
  error: "red",
  warn: "yellow",
  info: "green",
  debug: "blue",
  trace: "gray",
};

/** `2026-01-31 12:00:00.000Z ERROR rdev-api  message  field=value …`, on one line. */
export function entryLine({ timestamp, level, service, message, metadata }: Entry): string {
  const fields = Object.entries(metadata)
    .filter(([, value]) => value !== null && value !== "")
    .map(([key, value]) => `${printable(key)}=${valueText(value)}`);
  const parts = [
    `${paint("dim", printable(timestamp).replace("T", " "))} ` +
      `${paint(COLOURS[level] ?? "reset", printable(level).toUpperCase().padEnd(5))} ` +
      paint("cyan", printable(service)),
    printable(message),
    ...(fields.length > 0 ? [paint("dim", fields.join(" "))] : []),
  ];
  return parts.join("  ");
}

function valueText(value: unknown): string {
  if (typeof value !== "string") return printable(JSON.stringify(value) ?? "");
  return /^[^\s"=]+$/.test(value) ? printable(value) : printable(JSON.stringify(value));
}
