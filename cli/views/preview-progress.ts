import { clearLine, cursorTo } from "node:readline";
import type { WriteStream } from "node:tty";
import type { Progress } from "../../automation/previews/preview-stacks.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { stackLine } from "../../core/previews/report.ts";
import { durationText } from "../text.ts";

/** Shows the progress of many previews: a line for each failure, and a count of the rest. */
export interface ProgressView {
  done(preview: StackPreview, progress: Progress): void;
  /** Shows a message beside the progress. */
  note(text: string): void;
  end(): void;
}

/** How often a log gets a line. */
const LOG_INTERVAL_MS = 10_000;

/** One line at the end of a terminal, redrawn in place. */
export function terminalProgress(
  terminal: Pick<WriteStream, "write" | "columns"> & NodeJS.WritableStream,
): ProgressView {
  const failureLine = failureLines();
  let shown = "";
  const erase = () => {
    if (shown === "") return;
    cursorTo(terminal, 0);
    clearLine(terminal, 0);
  };
  const draw = () => terminal.write(shown);
  const print = (text: string) => {
    erase();
    terminal.write(`${text}\n`);
    draw();
  };
  return {
    done(preview, progress) {
      const failure = failureLine(preview);
      if (failure !== undefined) print(failure);
      erase();
      // A line that is wider than the terminal could not be erased.
      shown = progressText(progress).slice(0, Math.max(10, terminal.columns - 1));
      draw();
    },
    note: print,
    end() {
      erase();
      shown = "";
    },
  };
}

/** Lines for a log: each failure, a count every 10 s, and the last count. */
export function lineProgress(write: (line: string) => void, now = Date.now): ProgressView {
  const failureLine = failureLines();
  let last = { at: now(), text: "" };
  return {
    done(preview, progress) {
      const failure = failureLine(preview);
      if (failure !== undefined) write(failure);
      const text = progressText(progress);
      const isDue = progress.done === progress.total || now() - last.at >= LOG_INTERVAL_MS;
      if (!isDue || text === last.text) return;
      last = { at: now(), text };
      write(text);
    },
    note: write,
    end: () => undefined,
  };
}

/** `12 of 50 stacks previewed, 1 failed, about 40 s left`. */
export function progressText({ done, total, failed, left }: Progress): string {
  const failures = failed > 0 ? `, ${failed} failed` : "";
  const time = left === undefined || done === total ? "" : `, about ${durationText(left)} left`;
  return `${done} of ${total} stacks previewed${failures}${time}`;
}

/** Returns a line for the first failure of a stack, and for a retry that succeeds. */
function failureLines(): (preview: StackPreview) => string | undefined {
  const failed = new Set<string>();
  return (preview) => {
    const { stack, result } = preview;
    const before = failed.has(stack);
    if (result !== "failed") return before ? `${stack}: again, ${stackLine(preview)}` : undefined;
    failed.add(stack);
    return before ? undefined : `${stack}: ${stackLine(preview)}`;
  };
}
