import { clearLine, cursorTo } from "node:readline";
import type { WriteStream } from "node:tty";
import type { Progress } from "../../automation/previews/preview-stacks.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { stackLine } from "../../core/previews/report.ts";
import { durationText } from "../text.ts";

/** How many previews are told while they go on: what fails as a line, the rest as a count. */
export interface ProgressView {
  done(preview: StackPreview, progress: Progress): void;
  /** A word to the person beside it. */
  note(text: string): void;
  end(): void;
}

/** In ms: how often a log gets a line. */
const NOW_AND_THEN = 10_000;

/** One line at the end of a terminal, drawn anew in its place. */
export function terminalProgress(
  terminal: Pick<WriteStream, "write" | "columns"> & NodeJS.WritableStream,
): ProgressView {
  const tellFailure = failures();
  let shown = "";
  const erase = () => {
    if (shown === "") return;
    cursorTo(terminal, 0);
    clearLine(terminal, 0);
  };
  const draw = () => terminal.write(shown);
  const lasting = (text: string) => {
    erase();
    terminal.write(`${text}\n`);
    draw();
  };
  return {
    done(preview, progress) {
      const failure = tellFailure(preview);
      if (failure !== undefined) lasting(failure);
      erase();
      // A line that is wider than the terminal would not go away.
      shown = progressText(progress).slice(0, Math.max(10, terminal.columns - 1));
      draw();
    },
    note: lasting,
    end() {
      erase();
      shown = "";
    },
  };
}

/** Lines for a log: what fails, a count now and then, and the last one. */
export function lineProgress(write: (line: string) => void, now = Date.now): ProgressView {
  const tellFailure = failures();
  let last = { at: now(), text: "" };
  return {
    done(preview, progress) {
      const failure = tellFailure(preview);
      if (failure !== undefined) write(failure);
      const text = progressText(progress);
      const isDue = progress.done === progress.total || now() - last.at >= NOW_AND_THEN;
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
  const bad = failed > 0 ? `, ${failed} failed` : "";
  const time = left === undefined || done === total ? "" : `, about ${durationText(left)} left`;
  return `${done} of ${total} stacks previewed${bad}${time}`;
}

/** The line for a stack that fails; also for one that is tried again, where that goes well. */
function failures(): (preview: StackPreview) => string | undefined {
  const failed = new Set<string>();
  return (preview) => {
    const { stack, result } = preview;
    const before = failed.has(stack);
    if (result !== "failed") return before ? `${stack}: again, ${stackLine(preview)}` : undefined;
    failed.add(stack);
    return before ? undefined : `${stack}: ${stackLine(preview)}`;
  };
}
