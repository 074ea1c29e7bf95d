import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import type { StackPreview } from "../../core/previews/model.ts";
import { lineProgress, progressText, terminalProgress } from "../../cli/views/preview-progress.ts";

const preview = (stack: string, error?: string): StackPreview => ({
  stack,
  durationMs: 1,
  unchanged: 0,
  changes: [],
  findings: [],
  result: error === undefined ? "succeeded" : "failed",
  errors: error === undefined ? [] : [{ message: error }],
});
const progress = (done: number, failed = 0) => ({ done, failed, total: 5, left: 42_000 });

/** The lines that a terminal shows after this output, which erases only whole lines. */
function screen(written: string): string[] {
  return written.split("\n").map((line) => line.split(/\u001b\[1G\u001b\[2K/).at(-1) ?? "");
}

describe("progressText", () => {
  it("counts done and failed stacks, and estimates the time left", () => {
    assert.equal(progressText(progress(2)), "2 of 5 stacks previewed, about 42 s left");
    assert.equal(
      progressText(progress(2, 1)),
      "2 of 5 stacks previewed, 1 failed, about 42 s left",
    );
    assert.equal(progressText(progress(5, 1)), "5 of 5 stacks previewed, 1 failed");
    assert.equal(progressText({ ...progress(1), left: undefined }), "1 of 5 stacks previewed");
  });
});

describe("the progress of many previews", () => {
  it("redraws one line on a terminal, below the failures and notes", () => {
    const terminal = Object.assign(new PassThrough({ encoding: "utf8" }), { columns: 80 });
    const read = () => screen(written);
    let written = "";
    terminal.on("data", (text: string) => (written += text));
    const view = terminalProgress(terminal);
    view.done(preview("staging.a"), progress(1));
    view.done(preview("staging.b", "no settings\nand more"), progress(2, 1));
    view.note("a word");
    view.done(preview("staging.c"), progress(3, 1));
    assert.deepEqual(read(), [
      "staging.b: failed: no settings",
      "a word",
      "3 of 5 stacks previewed, 1 failed, about 42 s left",
    ]);
    view.done(preview("staging.b"), progress(3));
    view.end();
    assert.deepEqual(read(), [
      "staging.b: failed: no settings",
      "a word",
      "staging.b: again, no changes",
      "",
    ]);
  });

  it("never exceeds the width of the terminal", () => {
    const terminal = Object.assign(new PassThrough({ encoding: "utf8" }), { columns: 20 });
    terminalProgress(terminal).done(preview("staging.a"), progress(1));
    assert.equal(terminal.read(), "1 of 5 stacks previ");
  });

  it("prints a count every 10 s in a log, each failure once, and the last count", () => {
    let clock = 0;
    const lines: string[] = [];
    const view = lineProgress(
      (line) => lines.push(line),
      () => clock,
    );
    view.done(preview("staging.a"), progress(1));
    view.done(preview("staging.b", "x"), progress(2, 1));
    clock = 10_000;
    view.done(preview("staging.c"), progress(3, 1));
    view.done(preview("staging.d"), progress(4, 1));
    view.done(preview("staging.e"), progress(5, 1));
    view.done(preview("staging.b", "x"), progress(5, 1));
    assert.deepEqual(lines, [
      "staging.b: failed: x",
      "3 of 5 stacks previewed, 1 failed, about 42 s left",
      "5 of 5 stacks previewed, 1 failed",
    ]);
  });
});
