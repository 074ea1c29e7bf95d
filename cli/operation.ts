import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import type * as engineModule from "../automation/engine/stack.ts";
import type { Outcome } from "../automation/engine/outcome.ts";
import { EXIT, exitCode } from "./exit-codes.ts";
import { interruptible } from "./interrupts.ts";
import { countOfChanges, errorText } from "./text.ts";
import { jsonView } from "./views/json.ts";
import { linesView } from "./views/lines.ts";
import { liveView } from "./views/live.ts";
import type { Subject, View } from "./views/view.ts";

/** The options that every operation's command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly diff?: boolean;
  readonly workDir?: string;
}

type Operation = (
  engine: typeof engineModule,
  options: Pick<engineModule.OperationOptions, "onEvent" | "signal" | "kill" | "workDir">,
) => Promise<Outcome>;

/** Runs one operation, shows it, and puts its errors on stderr. */
export async function show(
  subject: Omit<Subject, "diff">,
  { json = false, diff = false, workDir }: CommonOptions,
  operation: Operation,
): Promise<Outcome> {
  const view = viewOf({ ...subject, diff }, json);
  const folder = workFolder(workDir);
  const outcome = await interruptible(
    (text) => view.note(text),
    async (signals) => {
      // Pulumi's SDK takes half a second to load: help and usage errors do without.
      const engine = await import("../automation/engine/stack.ts");
      return operation(engine, {
        ...signals,
        ...(folder && { workDir: folder }),
        onEvent: (event) => view.event(event),
      });
    },
  );
  view.end(outcome);
  for (const error of outcome.errors) console.error(errorText(error));
  return outcome;
}

/** The one that was named, or as pulumi takes it; undefined: the engine takes this package. */
export function workFolder(named: string | undefined): string | undefined {
  const folder = named ?? (existsSync("Pulumi.yaml") ? "." : undefined);
  return folder && resolve(folder);
}

/** Shows the preview of an operation and asks; then runs it. Answers with the exit code. */
export async function confirmed(
  options: CommonOptions & { readonly yes?: boolean },
  preview: () => Promise<Outcome>,
  run: () => Promise<Outcome>,
): Promise<number> {
  if (!options.yes) {
    if (options.json || !process.stdin.isTTY || !process.stdout.isTTY) {
      console.error("error: there is no terminal to ask on; pass --yes to go ahead unasked");
      return EXIT.usage;
    }
    const expected = await preview();
    if (expected.result !== "succeeded") return exitCode(expected);
    const question = "Go ahead? Only yes is a yes: ";
    if (countOfChanges(expected.changes) > 0 && !(await ask(question))) {
      console.error("Nothing was changed.");
      return EXIT.failed;
    }
  }
  return exitCode(await run());
}

async function ask(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const closed = new AbortController();
  terminal.once("close", () => closed.abort()); // Ctrl-C and Ctrl-D
  try {
    return (await terminal.question(question, { signal: closed.signal })).trim() === "yes";
  } catch {
    process.stdout.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}

export function viewOf(subject: Subject, json: boolean): View {
  if (json) return jsonView(subject, console.log);
  return process.stdout.isTTY ? liveView(subject, process.stdout) : linesView(subject, console.log);
}
