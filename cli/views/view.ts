import { isDeepStrictEqual } from "node:util";
import type { Status } from "../../automation/engine/events.ts";
import {
  type Changes,
  NO_CHANGES,
  type OperationEvent,
  type Outcome,
} from "../../core/operation.ts";
import type { Step } from "../../core/previews/step.ts";
import { count } from "../../core/previews/text.ts";
import {
  changesText,
  durationText,
  isGroup,
  outputLines,
  type outputTree,
  paint,
  plannedSign,
  resourceText,
  resourceWithPurpose,
  verb,
  type Style,
  type Tense,
} from "../text.ts";
import { Differences } from "./differences.ts";

/** Shows one operation while it runs. Errors go to stderr instead. */
export interface View {
  event(event: OperationEvent): void;
  /** Takes what the engine plans for a resource, with values. Comes before the resource's event. */
  step(step: Step): void;
  /** Shows what is going on at the moment, if the view moves. */
  status(status: Status): void;
  /** Shows a message beside the events. */
  note(text: string): void;
  end(outcome: Outcome): void | Promise<void>;
  /** Ends without an outcome. */
  close(): void | Promise<void>;
}

/** What a view is about. */
export interface Subject {
  readonly operation: "up" | "preview" | "refresh" | "destroy";
  readonly stack: string;
  readonly tense: Tense;
  /** Show which properties differ. */
  readonly diff: boolean;
}

/** One JSON object a line: each event, then the outcome. */
export function jsonView({ operation, stack }: Subject, write: (line: string) => void): View {
  return {
    event: (event) => write(JSON.stringify(event)),
    step: () => undefined,
    status: () => undefined,
    note: (text) => console.error(text),
    end: (outcome) => write(JSON.stringify({ event: "outcome", operation, stack, ...outcome })),
    close: () => undefined,
  };
}

/** Plain lines, for a log. */
export function linesView(subject: Subject, write: (line: string) => void): View {
  const text = new OperationText(subject);
  const writeAll = (lines: readonly string[]) => lines.forEach((line) => write(line));
  return {
    event: (event) => writeAll(text.lines(event)),
    step: (step) => text.differences.add(step),
    status: () => undefined,
    note: (note) => console.error(note),
    end: (outcome) => writeAll(text.closing(outcome, outputLines)),
    close: () => undefined,
  };
}

/** Writes one operation's lines, and counts what they show so that the summary agrees with them. */
export class OperationText {
  readonly differences = new Differences();
  readonly #subject: Subject;
  #shown: Changes = NO_CHANGES;
  #groups = 0;
  /** URNs of the components that were counted: a preview reports each of them twice. */
  readonly #components = new Set<string>();
  #touched = false;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** The lasting lines for an event; none if it says nothing to a person. */
  lines(event: OperationEvent): string[] {
    if (event.event === "diagnostic") {
      if (event.severity === "error") return []; // the outcome has it too
      return event.severity === "warning"
        ? [paint("yellow", `! ${event.message}`)]
        : [paint("dim", `· ${event.message}`)];
    }
    if (event.event === "summary") return [];
    if (event.component && event.event === "resourceDone") {
      if (this.#components.has(event.urn)) return [];
      this.#components.add(event.urn);
    }
    if (isGroup(event)) {
      const changes = event.event === "resourceDone" && verb(event.op, "past") !== undefined;
      if (changes && event.type !== "pulumi:pulumi:Stack") this.#groups += 1;
      return [];
    }
    if (event.event === "resourceStarted") {
      this.#touched ||= verb(event.op, "past") !== undefined && event.op !== "refresh";
      return [];
    }
    if (event.event === "resourceFailed") {
      const doing = verb(event.op, "now") ?? event.op;
      return [`${paint("red", "✗")} ${doing} failed: ${resourceText(event)}`];
    }
    return this.#done(event);
  }

  #done(event: Extract<OperationEvent, { event: "resourceDone" | "resourceFailed" }>): string[] {
    const { tense, diff } = this.#subject;
    const { op, changed, durationMs } = event;
    const key = COUNTED_AS[op];
    if (key) this.#shown = { ...this.#shown, [key]: this.#shown[key] + 1 };
    const done = verb(op, tense);
    if (done === undefined || op === "refresh") return [];
    // A preview shows a replacement in one line.
    if (tense === "would" && op === "delete-replaced") return [];
    const sign = tense === "would" ? plannedSign(op) : paint(DONE_COLOURS[op] ?? "green", "✓");
    const time = tense === "past" ? paint("dim", `  ${durationText(durationMs)}`) : "";
    const values = diff ? this.differences.lines(event.urn) : [];
    const names =
      diff && values.length === 0 && changed ? paint("dim", `  ${changed.join(", ")}`) : "";
    return [`${sign} ${done} ${resourceWithPurpose(event)}${names}${time}`, ...values];
  }

  /** The last lines: how it ended, the counts, the time, and the outputs. */
  closing(outcome: Outcome, toLines: typeof outputLines | typeof outputTree): string[] {
    const { operation, stack, tense } = this.#subject;
    const { result, durationMs, outputs } = outcome;
    const isPlan = tense === "would" && operation !== "preview";
    const what = `${isPlan ? `preview of the ${operation}` : operation} of ${stack}`;
    const time = durationText(durationMs);
    const counts = this.#counts(outcome);
    if (result === "failed") {
      return [paint("red", `${what} failed after ${time}${this.#before(counts)}`)];
    }
    if (result === "cancelled") {
      return [
        paint("yellow", `${what} stopped after ${time}${this.#before(counts)}`),
        ...(tense === "past"
          ? ["The stack's state has what was done: the same command continues from there."]
          : []),
      ];
    }
    const lines = [paint("green", `${what}: ${counts || "no resources"} in ${time}`)];
    if (operation === "up" && Object.keys(outputs).length > 0) {
      lines.push("Outputs:", ...toLines(outputs));
    }
    return lines;
  }

  /** Without any event, as for an operation that ended long ago, only the outcome has counts. */
  #counts({ changes }: Outcome): string {
    const { tense } = this.#subject;
    if (isDeepStrictEqual(this.#shown, NO_CHANGES)) return changesText(changes, tense);
    const groups = count(this.#groups, "component that groups", "components that group");
    return changesText(this.#shown, tense) + (this.#groups > 0 ? ` (and ${groups} them)` : "");
  }

  /** What a failed or stopped operation had done by then. */
  #before(counts: string): string {
    if (this.#subject.tense === "would") return "";
    if (counts !== "") return `; done before that: ${counts}`;
    return this.#touched ? "" : "; nothing was changed";
  }
}

/** Each line counts once: a replacement is reported as a whole (`replace`) and in two halves. */
const COUNTED_AS: Readonly<Partial<Record<string, keyof Changes>>> = {
  create: "create",
  import: "create",
  update: "update",
  "create-replacement": "replace",
  delete: "delete",
  same: "same",
  refresh: "same",
};

const DONE_COLOURS: Partial<Record<string, Style>> = { delete: "red", "delete-replaced": "red" };
