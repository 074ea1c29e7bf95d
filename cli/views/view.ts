import { styleText } from "node:util";
import type { OperationEvent } from "../../automation/engine/events.ts";
import type { Outcome } from "../../automation/engine/outcome.ts";
import { changesText, durationText, outputLines, resourceText, verb, type Tense } from "../text.ts";

/** Shows one operation. Errors are not its matter: they go to stderr. */
export interface View {
  event(event: OperationEvent): void;
  /** A word to the person beside the events. */
  note(text: string): void;
  end(outcome: Outcome): void;
}

/** What is shown. */
export interface Subject {
  readonly operation: "up" | "preview" | "refresh" | "destroy";
  readonly stack: string;
  readonly tense: Tense;
  /** Name the properties that differ. */
  readonly diff: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** Colours only on a terminal, and as NO_COLOR says. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** The lasting line for an event; undefined where there is nothing to say. */
export function lineFor(event: OperationEvent, { tense, diff }: Subject): string | undefined {
  if (event.event === "diagnostic") {
    if (event.severity === "error") return undefined;
    return event.severity === "warning"
      ? paint("yellow", `! ${event.message}`)
      : paint("dim", `· ${event.message}`);
  }
  if (event.event === "summary" || event.event === "resourceStarted" || event.component) {
    return undefined;
  }
  if (event.event === "resourceFailed") {
    const doing = verb(event.op, "now") ?? event.op;
    return `${paint("red", "✗")} ${doing} failed: ${resourceText(event)}`;
  }
  const done = verb(event.op, tense);
  if (done === undefined || event.op === "refresh") return undefined;
  const time = tense === "past" ? paint("dim", `  ${durationText(event.durationMs)}`) : "";
  const changed = diff && event.changed ? paint("dim", `  ${event.changed.join(", ")}`) : "";
  return `${paint(COLOURS[event.op] ?? "green", "✓")} ${done} ${resourceText(event)}${changed}${time}`;
}

const COLOURS: Partial<Record<string, Style>> = { delete: "red", "delete-replaced": "red" };

/** The last lines: how it ended, the counts, the time, and the outputs. */
export function closingLines(outcome: Outcome, { operation, stack, tense }: Subject): string[] {
  const { result, changes, durationMs, outputs } = outcome;
  const what = `${operation} of ${stack}`;
  const counts =
    changesText(changes, tense) || (tense === "past" ? "nothing done" : "nothing to do");
  const time = durationText(durationMs);
  if (result === "failed") return [paint("red", `${what} failed after ${time}: ${counts}`)];
  if (result === "cancelled") {
    return [
      paint("yellow", `${what} stopped after ${time}: ${counts}`),
      "What was done is in the stack's state: the same command goes on from there.",
    ];
  }
  const lines = [paint("green", `${what}: ${counts} in ${time}`)];
  if (operation === "up" && Object.keys(outputs).length > 0) {
    lines.push("Outputs:", ...outputLines(outputs));
  }
  return lines;
}
