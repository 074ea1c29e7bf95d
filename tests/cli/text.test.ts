import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { Writable } from "node:stream";
import type { WriteStream } from "node:tty";
import type { OperationEvent } from "../../automation/engine/events.ts";
import type { Outcome } from "../../automation/engine/outcome.ts";
import { exitCode } from "../../cli/exit-codes.ts";
import { changesText, countOfChanges, durationText, errorText } from "../../cli/text.ts";
import { linesView } from "../../cli/views/lines.ts";
import { liveView } from "../../cli/views/live.ts";
import type { Subject } from "../../cli/views/view.ts";

const CHANGES = { create: 2, update: 0, replace: 1, delete: 0, same: 4 };
const THING = {
  urn: "urn:pulumi:s::rdev::gitea:Repository::my-app",
  type: "pulumi-nodejs:dynamic/gitea:Repository",
  name: "my-app",
  op: "create",
  component: false,
} as const;
const SUBJECT: Subject = { operation: "up", stack: "staging", tense: "past", diff: false };
const OUTCOME: Outcome = {
  result: "succeeded",
  changes: CHANGES,
  outputs: { url: "https://x", ports: [1, 2] },
  durationMs: 1_234,
  errors: [],
};

describe("texts", () => {
  it("count changes in words", () => {
    assert.equal(changesText(CHANGES, "past"), "2 created, 1 replaced, 4 unchanged");
    assert.equal(changesText(CHANGES, "would"), "2 to create, 1 to replace, 4 unchanged");
    assert.equal(countOfChanges(CHANGES), 3);
  });

  it("tell a time as a person reads it", () => {
    const told = [40, 9_949, 9_950, 59_600, 125_000].map(durationText);
    assert.deepEqual(told, ["0.0 s", "9.9 s", "10 s", "1 min 0 s", "2 min 5 s"]);
  });

  it("tell an error with its code and its resource", () => {
    const urn = "urn:pulumi:s::rdev::rdev:c:GitRepo$pulumi-nodejs:dynamic/gitea:Repository::my-app";
    assert.equal(
      errorText({ code: "RDEV_REFUSED", urn, message: "no" }),
      "RDEV_REFUSED: no (gitea:Repository my-app)",
    );
    assert.equal(errorText({ message: "no" }), "RDEV_ENGINE: no");
  });
});

describe("exitCode", () => {
  const failed = (code?: "RDEV_SETTINGS" | "RDEV_REFUSED") =>
    exitCode({ result: "failed", errors: [{ ...(code && { code }), message: "" }] });

  it("tells bad input from a failure", () => {
    assert.equal(exitCode(OUTCOME), 0);
    assert.equal(failed("RDEV_SETTINGS"), 2);
    assert.equal(failed("RDEV_REFUSED"), 1);
    assert.equal(failed(), 1);
    assert.equal(exitCode({ result: "cancelled", errors: [] }), 130);
  });
});

describe("linesView", () => {
  function lines(events: OperationEvent[], subject = SUBJECT, outcome = OUTCOME) {
    const written: string[] = [];
    const view = linesView(subject, (line) => written.push(stripVTControlCharacters(line)));
    for (const event of events) view.event(event);
    view.end(outcome);
    return written;
  }
  const done = { ...THING, event: "resourceDone", durationMs: 250 } as const;

  it("tells what changed, then the counts, the time and the outputs", () => {
    const events: OperationEvent[] = [
      { ...THING, event: "resourceStarted" },
      done,
      { ...done, op: "same" },
      { ...done, component: true },
      { event: "diagnostic", severity: "warning", message: "an old key" },
    ];
    assert.deepEqual(lines(events), [
      "✓ created gitea:Repository my-app  0.3 s",
      "! an old key",
      "up of staging: 2 created, 1 replaced, 4 unchanged in 1.2 s",
      "Outputs:",
      "  url    https://x",
      "  ports  [1,2]",
    ]);
  });

  it("names the properties that differ, where asked", () => {
    const update = { ...done, op: "update", changed: ["spec.size"] } as const;
    const subject: Subject = { ...SUBJECT, operation: "preview", tense: "would", diff: true };
    const [line] = lines([update], subject);
    assert.equal(line, "✓ would update gitea:Repository my-app  spec.size");
  });

  it("says how to go on after an interrupt", () => {
    const [line, next] = lines([], SUBJECT, { ...OUTCOME, result: "cancelled" });
    assert.match(line ?? "", /^up of staging stopped after 1\.2 s: 2 created/);
    assert.match(next ?? "", /the same command goes on from there/);
  });
});

describe("liveView", () => {
  it("lists what is under way, and leaves what is done", () => {
    let written = "";
    const terminal = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        written += chunk.toString();
        callback();
      },
    });
    Object.assign(terminal, { rows: 24, columns: 80 });
    const view = liveView(SUBJECT, terminal as WriteStream);
    view.event({ ...THING, event: "resourceStarted" });
    view.event({ event: "diagnostic", severity: "warning", message: "an old key" });
    assert.match(
      stripVTControlCharacters(written),
      /creating gitea:Repository my-app {2}0\.0 s\n$/,
    );
    written = "";
    view.event({ ...THING, event: "resourceDone", durationMs: 250 });
    view.end(OUTCOME);
    const last = stripVTControlCharacters(written);
    assert.match(last, /✓ created gitea:Repository my-app {2}0\.3 s\n/);
    assert.doesNotMatch(last, /creating/);
    assert.match(last, /up of staging: 2 created.*\nOutputs:/);
  });
});
