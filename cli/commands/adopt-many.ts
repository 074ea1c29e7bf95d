import { readFile } from "node:fs/promises";
import pLimit from "p-limit";
import { InfraError, problems } from "../../core/errors.ts";
import type { Outcome } from "../../core/operation.ts";
import { parseStackName, projectStackName } from "../../core/stack-name.ts";
import { formerSettings, recorder, type RecorderOptions } from "../database.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { askable, goAhead, interruptible, workFolder } from "../operation.ts";
import { changesText, durationText, errorText, paint, printable } from "../text.ts";
import { adoptionLines } from "../views/adoption-lines.ts";

export interface AdoptManyOptions extends RecorderOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
  readonly workDir?: string;
  readonly concurrency?: number;
}

/** Each adoption is an engine with its plugins, about half a core. */
const CONCURRENCY = 2;

/**
 * Adopts every project of a CSV file, after all mistakes of the file and all reasons against adopting
 * were named. Returns the exit code.
 */
export async function adoptMany(
  platform: string,
  file: string,
  options: AdoptManyOptions,
): Promise<number> {
  const { dryRun = false, yes = false, json = false, concurrency = CONCURRENCY } = options;
  if (!dryRun && !askable(options)) return EXIT.usage;
  if (parseStackName(platform).kind !== "platform") {
    throw new InfraError("RDEV_STACK_NAME", `"${platform}" is a project; name its platform.`);
  }
  const listed = await read(file);
  const [{ adopt, adoptedProject, refusalOf }, { lookUp }] = await Promise.all([
    import("../../automation/adopt/adopt.ts"),
    import("../../automation/adopt/look-up.ts"),
  ]);
  const folder = workFolder(options.workDir);
  const workDir = folder && { workDir: folder };
  const record = recorder(options);
  const former = await formerSettings();
  const limit = pLimit(concurrency);

  const all = await limit.map(listed, async ({ slug, changes }) => {
    const stack = projectStackName(platform, slug);
    const asked = { ...workDir, changes, formerly: former(stack) };
    const found = await lookUp(await adoptedProject(stack, asked));
    return { stack, changes, found };
  });
  for (const { stack, found } of all) {
    const { missing } = found;
    if (json)
      console.log(JSON.stringify({ event: "adoption", stack, found: found.found, missing }));
    else console.log([...adoptionLines(stack, found), ""].join("\n"));
  }
  refuseAll(all.flatMap(({ stack, found }) => refusalOf(stack, found) ?? []));
  if (dryRun) return EXIT.done;
  if (
    !yes &&
    !(await goAhead(() => all.flatMap((each) => adoptionLines(each.stack, each.found))))
  ) {
    console.error("Nothing was changed.");
    return EXIT.failed;
  }

  const outcomes = await interruptible(console.error, ({ signal, kill }) =>
    limit.map(all, async ({ stack, changes }): Promise<readonly [string, Outcome | undefined]> => {
      if (signal.aborted) return [stack, undefined];
      const outcome = await record(
        { stack, operation: "up", details: { adopt: true, changes } },
        (formerly) =>
          adopt(stack, { ...workDir, signal, kill, formerly, changes, config: configOf(changes) }),
      );
      if (json) console.log(JSON.stringify({ event: "outcome", stack, ...outcome }));
      return [stack, outcome];
    }),
  );
  if (!json) for (const [stack, outcome] of outcomes) console.log(outcomeLine(stack, outcome));
  const codes = outcomes.map(([, outcome]) => (outcome ? exitCode(outcome) : EXIT.interrupted));
  return codes.includes(EXIT.interrupted) ? EXIT.interrupted : Math.max(...codes);
}

async function read(file: string) {
  const { parseAdoptionList } = await import("../../core/adoption-list.ts");
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new InfraError("RDEV_SETTINGS", `${file} cannot be read (${error.code ?? "unknown"}).`);
  });
  return parseAdoptionList(text);
}

/** Throws the first code with every project's reasons. */
function refuseAll(refusals: readonly InfraError[]): void {
  const [first] = refusals;
  if (!first) return;
  const code = refusals.find((each) => each.code === "RDEV_NOT_OURS")?.code ?? first.code;
  const lines = refusals.map(({ message }) => message.replaceAll("\n", "\n  "));
  throw problems(code, "Nothing was adopted:", lines);
}

/** In the form of a stack's file, which holds texts. */
function configOf(changes: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(changes).map(([key, value]: [string, unknown]) => [key, String(value)]),
  );
}

/** `staging.my-app  adopted  12 created in 8.1 s`, or the errors. */
function outcomeLine(stack: string, outcome: Outcome | undefined): string {
  if (!outcome) return paint("yellow", `${stack}  not begun`);
  const { result, changes, durationMs, errors } = outcome;
  if (result === "succeeded") {
    const text = changesText(changes, "past");
    return paint("green", `${stack}  adopted  ${text} in ${durationText(durationMs)}`);
  }
  const reasons = errors.map((error) => `\n    ${printable(errorText(error))}`).join("");
  return paint("red", `${stack}  ${result}${reasons}`);
}
