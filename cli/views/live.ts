import { clearScreenDown, cursorTo, moveCursor } from "node:readline";
import type { WriteStream } from "node:tty";
import type { OperationEvent } from "../../automation/engine/events.ts";
import { durationText, resourceText, verb } from "../text.ts";
import { closingLines, lineFor, paint, type Subject, type View } from "./view.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;

/**
 * For a terminal: what is done stays as lines, what is under way is a list below them that moves.
 * (listr2 wants its tasks beforehand; which resources there are, only the engine tells.)
 */
export function liveView(subject: Subject, terminal: WriteStream): View {
  const active = new Map<string, { readonly text: string; readonly since: number }>();
  const begin = Date.now();
  let drawn = 0;
  let frame = 0;

  function erase() {
    if (drawn === 0) return;
    moveCursor(terminal, 0, -drawn);
    cursorTo(terminal, 0);
    clearScreenDown(terminal);
    drawn = 0;
  }

  function draw() {
    const now = Date.now();
    const sign = FRAMES[frame++ % FRAMES.length] ?? "";
    const room = Math.max(1, terminal.rows - 2);
    const shown = [...active.values()].slice(0, room);
    const lines = shown.map(({ text, since }) => [text, durationText(now - since)] as const);
    const hidden = active.size - shown.length;
    if (hidden > 0) lines.splice(-1, 1, [`and ${hidden + 1} more`, ""]);
    if (lines.length === 0) {
      lines.push([`${subject.operation} of ${subject.stack}`, durationText(now - begin)]);
    }
    for (const [text, time] of lines) {
      const width = Math.max(10, terminal.columns - time.length - 6);
      terminal.write(`${paint("cyan", sign)} ${text.slice(0, width)}  ${paint("dim", time)}\n`);
    }
    drawn = lines.length;
  }

  function track(event: OperationEvent) {
    if (event.event === "diagnostic" || event.event === "summary" || event.component) return;
    const doing = verb(event.op, "now");
    if (event.event !== "resourceStarted") active.delete(event.urn);
    else if (doing !== undefined) {
      active.set(event.urn, { text: `${doing} ${resourceText(event)}`, since: Date.now() });
    }
  }

  function lasting(line: string) {
    erase();
    terminal.write(`${line}\n`);
    draw();
  }

  draw();
  const timer = setInterval(() => {
    erase();
    draw();
  }, FRAME_MS);

  return {
    event(event) {
      track(event);
      const line = lineFor(event, subject);
      if (line !== undefined) lasting(line);
    },
    note: lasting,
    end(outcome) {
      clearInterval(timer);
      erase();
      for (const line of closingLines(outcome, subject)) terminal.write(`${line}\n`);
    },
  };
}
