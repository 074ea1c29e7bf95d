import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import type { OperationOptions } from "../automation/engine/options.ts";
import type * as engineModule from "../automation/engine/stack.ts";
import type { Outcome } from "../core/operation.ts";
import type { Step } from "../core/previews/step.ts";
import { EXIT, exitCode } from "./exit-codes.ts";
import { countOfChanges, errorText } from "./text.ts";
import { Differences } from "./views/differences.ts";
import { liveView } from "./views/live.ts";
import { threadScreen } from "./views/screen.ts";
import { timingLines } from "./views/timings.ts";
import { jsonView, linesView, type Subject, type View } from "./views/view.ts";

/** The options that every operation's command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly diff?: boolean;
  readonly timings?: boolean;
  readonly workDir?: string;
}

type EngineOptions = Pick<
  OperationOptions,
  "onEvent" | "onStatus" | "onStep" | "signal" | "kill" | "workDir"
>;

type Operation = (engine: typeof engineModule, options: EngineOptions) => Promise<Outcome>;

/** Runs one operation, shows it, and prints its errors on stderr. */
export async function show(
  subject: Omit<Subject, "diff">,
  { json = false, diff = false, timings = false, workDir }: CommonOptions,
  operation: Operation,
  onStep?: (step: Step) => void,
): Promise<Outcome> {
  const view = viewOf({ ...subject, diff }, json);
  const folder = workFolder(workDir);
  const outcome = await interruptible(
    (text) => view.note(text),
    async (signals) => {
      view.status({ message: "loading Pulumi's SDK" });
      // The SDK takes half a second to load, so help and usage errors do without it.
      const engine = await import("../automation/engine/stack.ts");
      return operation(engine, {
        ...signals,
        ...(folder && { workDir: folder }),
        onEvent: (event) => view.event(event),
        onStatus: (status) => view.status(status),
        onStep: (step) => {
          view.step(step);
          onStep?.(step);
        },
      });
    },
  );
  await view.end(outcome);
  for (const error of outcome.errors) console.error(errorText(error));
  if (timings && !json) console.log(timingLines(outcome.timings ?? []).join("\n"));
  return outcome;
}

export function viewOf(subject: Subject, json: boolean): View {
  if (json) return jsonView(subject, console.log);
  const { stdout } = process;
  return stdout.isTTY ? liveView(subject, threadScreen(stdout)) : linesView(subject, console.log);
}

/**
 * The folder with Pulumi.yaml: the one that was named, or the current one if it has that file. Undefined
 * if neither is there: the engine then uses this package.
 */
export function workFolder(named: string | undefined): string | undefined {
  const folder = named ?? (existsSync("Pulumi.yaml") ? "." : undefined);
  return folder && resolve(folder);
}

interface Confirmed {
  /** Shows what would change. Passes each step to `onStep` if its values are known. */
  readonly preview: (onStep: (step: Step) => void) => Promise<Outcome>;
  readonly run: () => Promise<Outcome>;
}

/** Without `--yes` shows the preview and asks before it runs the operation. Returns the exit code. */
export async function confirmed(
  options: CommonOptions & { readonly yes?: boolean },
  { preview, run }: Confirmed,
): Promise<number> {
  if (!askable(options)) return EXIT.usage;
  if (!options.yes) {
    const differences = new Differences();
    const expected = await preview((step) => differences.add(step));
    if (expected.result !== "succeeded") return exitCode(expected);
    if (countOfChanges(expected.changes) > 0 && !(await goAhead(() => differences.details()))) {
      console.error("Nothing was changed.");
      return EXIT.failed;
    }
  }
  return exitCode(await run());
}

/** Whether a person can answer, or need not. If not, says so on stderr. */
export function askable({
  yes,
  json,
}: {
  readonly yes?: boolean;
  readonly json?: boolean;
}): boolean {
  if (yes || (!json && hasTerminal())) return true;
  console.error("error: there is no terminal to ask on; pass --yes to go ahead without asking");
  return false;
}

export function hasTerminal(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/** Asks until the answer is yes or no. `details` shows what would change, value by value. */
export async function goAhead(
  details: () => string[],
  { stdin: input, stdout: output }: Pick<typeof process, "stdin" | "stdout"> = process,
): Promise<boolean> {
  const terminal = createInterface({ input, output });
  const closed = new AbortController();
  terminal.once("close", () => closed.abort()); // Ctrl-C and Ctrl-D
  try {
    for (;;) {
      const question = "Go ahead? (yes / no / details): ";
      const answer = (await terminal.question(question, { signal: closed.signal })).trim();
      if (answer === "yes") return true;
      if (answer === "no") return false;
      const text =
        answer === "details"
          ? details().join("\n") || "There are no values to show."
          : "Type yes, no or details.";
      output.write(`${text}\n`);
    }
  } catch {
    output.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** In ms. npx forwards a Ctrl-C that the terminal has also sent: both count as one. */
const ONE_PRESS = 400;

/** Runs work that the first signal cancels and the second kills. A third one ends this process. */
export async function interruptible<T>(
  note: (text: string) => void,
  work: (signals: { signal: AbortSignal; kill: AbortSignal }) => Promise<T>,
): Promise<T> {
  const cancel = new AbortController();
  const kill = new AbortController();
  let last = -Infinity;
  const interrupt = () => {
    if (performance.now() - last < ONE_PRESS) return;
    last = performance.now();
    if (!cancel.signal.aborted) {
      note("Stopping after the resources in progress. Press Ctrl-C again to stop at once.");
      cancel.abort();
    } else if (!kill.signal.aborted) {
      note(
        "Stopping at once. Resources in progress may be left incomplete; the next up finishes them.",
      );
      kill.abort();
    } else process.exit(EXIT.interrupted);
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  try {
    return await work({ signal: cancel.signal, kill: kill.signal });
  } finally {
    for (const name of SIGNALS) process.off(name, interrupt);
  }
}
