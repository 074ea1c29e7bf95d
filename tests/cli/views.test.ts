import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import type { OperationEvent, Outcome } from "../../core/operation.ts";
import { exitCode } from "../../cli/exit-codes.ts";
import { goAhead } from "../../cli/operation.ts";
import {
  changesText,
  countOfChanges,
  durationText,
  errorText,
  outputTree,
  resourceWithPurpose,
} from "../../cli/text.ts";
import { Differences } from "../../cli/views/differences.ts";
import { liveView } from "../../cli/views/live.ts";
import { reportLines } from "../../cli/views/report-lines.ts";
import { DrawnScreen, type Row, type Screen } from "../../cli/views/screen.ts";
import { linesView, type Subject } from "../../cli/views/view.ts";
import { makeReport } from "../../core/previews/report.ts";
import { SETTINGS_RECORD } from "../../core/recorded-settings.ts";
import { DEPLOYMENT, SECRET, step } from "../core/previews/steps.ts";

const plain = (lines: readonly string[]) => lines.map(stripVTControlCharacters);

const CHANGES = { create: 2, update: 0, replace: 1, delete: 0, same: 4 };
const THING = {
  urn: "urn:pulumi:s::rdev::gitea:Repository::my-app",
  type: "pulumi-nodejs:dynamic/gitea:Repository",
  name: "my-app",
  op: "create",
  component: false,
} as const;
const SUBJECT: Subject = { operation: "up", stack: "staging", tense: "past", diff: false };
const PREVIEW: Subject = { ...SUBJECT, operation: "preview", tense: "would" };
const OUTCOME: Outcome = {
  result: "succeeded",
  changes: CHANGES,
  outputs: { url: "https://x", ports: [1, 2] },
  durationMs: 1_234,
  errors: [],
};
const done = { ...THING, event: "resourceDone", durationMs: 250 } as const;
const resized = step(
  DEPLOYMENT,
  "update",
  { spec: { replicas: 1, key: SECRET } },
  { spec: { replicas: 2, key: { ...SECRET, ciphertext: "other" } } },
);

describe("texts", () => {
  it("count changes in words", () => {
    assert.equal(changesText(CHANGES, "past"), "2 created, 1 replaced, 4 unchanged");
    assert.equal(changesText(CHANGES, "would"), "2 to create, 1 to replace, 4 unchanged");
    assert.equal(countOfChanges(CHANGES), 3);
  });

  it("show a duration in readable units", () => {
    const shown = [40, 9_949, 9_950, 59_600, 125_000].map(durationText);
    assert.deepEqual(shown, ["0.0 s", "9.9 s", "10 s", "1 min 0 s", "2 min 5 s"]);
  });

  it("show an error with its code and its resource", () => {
    const urn = "urn:pulumi:s::rdev::rdev:c:GitRepo$pulumi-nodejs:dynamic/gitea:Repository::my-app";
    assert.equal(
      errorText({ code: "RDEV_REFUSED", urn, message: "no" }),
      "RDEV_REFUSED: no (gitea:Repository my-app)",
    );
    assert.equal(errorText({ message: "no" }), "RDEV_ENGINE: no");
  });

  it("name a command by its component, and say what it does", () => {
    const type = "command:local:Command";
    const urn = `urn:pulumi:s::rdev::rdev:components:TemplateSeed$${type}::my-app`;
    const text = resourceWithPurpose({ urn, type, name: "my-app" });
    assert.equal(text, "TemplateSeed my-app: seeds the template");
    assert.equal(resourceWithPurpose(THING), "gitea:Repository my-app");
  });

  it("show nested outputs as an indented tree, one value per line", () => {
    const outputs = {
      url: "https://x",
      settings: { domain: "x.test", workloads: [{ kind: "Deployment" }], sizes: { replicas: 2 } },
      hosts: ["a", "b"],
      none: [],
    };
    assert.deepEqual(outputTree(outputs), [
      "  url    https://x",
      "  settings",
      "    domain  x.test",
      "    workloads",
      "      0",
      "        kind  Deployment",
      "    sizes",
      "      replicas  2",
      "  hosts  a, b",
      "  none   none",
    ]);
  });
});

describe("exitCode", () => {
  const failed = (code?: "RDEV_SETTINGS" | "RDEV_REFUSED") =>
    exitCode({ result: "failed", errors: [{ ...(code && { code }), message: "" }] });

  it("distinguishes bad input from a failure", () => {
    assert.equal(exitCode(OUTCOME), 0);
    assert.equal(failed("RDEV_SETTINGS"), 2);
    assert.equal(failed("RDEV_REFUSED"), 1);
    assert.equal(failed(), 1);
    assert.equal(exitCode({ result: "cancelled", errors: [] }), 130);
  });
});

describe("linesView", () => {
  function lines(
    events: OperationEvent[],
    subject = SUBJECT,
    outcome = OUTCOME,
    steps = [resized],
  ) {
    const written: string[] = [];
    const view = linesView(subject, (...line) => written.push(...line)); // console.log takes more
    for (const each of steps) view.step(each);
    for (const event of events) view.event(event);
    void view.end(outcome);
    return plain(written);
  }

  it("shows what changed, then the counts, the time and the outputs", () => {
    const events: OperationEvent[] = [
      { ...THING, event: "resourceStarted" },
      done,
      { ...done, op: "same" },
      { ...done, component: true, type: "rdev:components:GitRepo" },
      { ...done, component: true, type: "rdev:components:GitRepo" }, // a preview reports it twice
      { ...done, component: true, type: "pulumi:pulumi:Stack" },
      { event: "diagnostic", severity: "warning", message: "an old key" },
    ];
    assert.deepEqual(lines(events), [
      "✓ created gitea:Repository my-app  0.3 s",
      "! an old key",
      "up of staging: 1 created, 1 unchanged (and 1 component that groups them) in 1.2 s",
      "Outputs:",
      "  url    https://x",
      "  ports  [1,2]",
    ]);
  });

  it("takes the counts from the outcome if it saw no event", () => {
    assert.equal(lines([])[0], "up of staging: 2 created, 1 replaced, 4 unchanged in 1.2 s");
  });

  it("marks planned operations with their own signs, not with a check mark", () => {
    const ops = ["create", "update", "delete", "import"] as const;
    const events = ops.map((op) => ({ ...done, op }));
    const replaced = (["create-replacement", "replace", "delete-replaced"] as const).map((op) => ({
      ...done,
      op,
    }));
    const shown = lines([...events, ...replaced], PREVIEW);
    assert.deepEqual(shown, [
      "+ would create gitea:Repository my-app",
      "~ would update gitea:Repository my-app",
      "- would delete gitea:Repository my-app",
      "= would import gitea:Repository my-app",
      "± would replace gitea:Repository my-app",
      "preview of staging: 2 to create, 1 to update, 1 to replace, 1 to delete in 1.2 s",
    ]);
  });

  it("shows the values that differ with --diff, but no secret", () => {
    const subject: Subject = { ...PREVIEW, diff: true };
    const { urn, type } = resized;
    const event = { ...done, urn, type, name: "shop", op: "update" } as const;
    assert.deepEqual(lines([event], subject).slice(0, 3), [
      "~ would update kubernetes:Deployment shop",
      "    spec.replicas: 1 => 2",
      "    spec.key: [secret] => [secret]",
    ]);
  });

  it("names the properties that differ if their values are unknown", () => {
    const update: OperationEvent = { ...done, op: "update", changed: ["spec.size"] };
    const [line] = lines([update], { ...PREVIEW, diff: true });
    assert.equal(line, "~ would update gitea:Repository my-app  spec.size");
  });

  it("shows an update of the recorded settings, which may be the only change", () => {
    const record = { ...done, type: SETTINGS_RECORD, component: true } as const;
    const [updated] = lines([{ ...record, op: "update" }], PREVIEW);
    assert.match(
      updated ?? "",
      /^~ would update SettingsRecord my-app: records the settings of the last up$/,
    );
    assert.match(lines([{ ...record, op: "create" }], PREVIEW)[0] ?? "", /^preview of staging: /);
  });

  it("says how to continue after an interrupt", () => {
    const [, line, next] = lines([done], SUBJECT, { ...OUTCOME, result: "cancelled" });
    assert.match(line ?? "", /^up of staging stopped after 1\.2 s; done before that: 1 created$/);
    assert.match(next ?? "", /the same command continues from there/);
  });

  it("says what a failed operation had done, and only if it is certain", () => {
    const failed: Outcome = {
      ...OUTCOME,
      result: "failed",
      durationMs: 20,
      changes: { create: 0, update: 0, replace: 0, delete: 0, same: 0 },
    };
    const started = { ...THING, event: "resourceStarted" } as const;
    assert.deepEqual(lines([], SUBJECT, failed), [
      "up of staging failed after 0.0 s; nothing was changed",
    ]);
    assert.deepEqual(lines([started], SUBJECT, failed), ["up of staging failed after 0.0 s"]);
    assert.equal(
      lines([started, done], SUBJECT, failed)[1],
      "up of staging failed after 0.0 s; done before that: 1 created",
    );
    assert.deepEqual(lines([], PREVIEW, failed), ["preview of staging failed after 0.0 s"]);
  });
});

describe("liveView", () => {
  let rows: readonly Row[] = [];
  let printed: string[] = [];
  const screen: Screen = {
    print: (line) => printed.push(stripVTControlCharacters(line)),
    rows: (next) => (rows = next),
    end: async () => void (rows = []),
  };
  beforeEach(() => {
    rows = [];
    printed = [];
  });
  const texts = () => rows.map(({ text }) => text);

  it("shows the status of the engine before the first resource", () => {
    const view = liveView(SUBJECT, screen);
    view.status({ message: "starting Pulumi's engine" });
    assert.deepEqual(texts(), ["up of staging: starting Pulumi's engine"]);
  });

  it("shows resources in progress with what they wait for, and keeps finished ones", async () => {
    const view = liveView(SUBJECT, screen);
    view.event({ ...THING, event: "resourceStarted" });
    view.status({ urn: THING.urn, message: "[1/3] Finding Pods" });
    view.event({ event: "diagnostic", severity: "warning", message: "an old key" });
    assert.deepEqual(texts(), ["creating gitea:Repository my-app: [1/3] Finding Pods"]);
    assert.deepEqual(printed, ["! an old key"]);
    view.event(done);
    assert.deepEqual(texts(), ["up of staging: starting"]);
    await view.end({ ...OUTCOME, outputs: { settings: { domain: "x" } } });
    assert.deepEqual(printed.slice(1), [
      "✓ created gitea:Repository my-app  0.3 s",
      "up of staging: 1 created in 1.2 s",
      "Outputs:",
      "  settings",
      "    domain  x",
    ]);
    assert.deepEqual(rows, []);
  });
});

describe("DrawnScreen", () => {
  let written: string[] = [];
  let screen: DrawnScreen;
  const row = (text: string): Row => ({ text, since: Date.now() - 1_500 });
  beforeEach(() => {
    written = [];
    screen = new DrawnScreen((text) => written.push(text), { rows: 5, columns: 30 }, false);
  });
  afterEach(() => screen.end());

  it("redraws its rows with their time below the printed lines", () => {
    screen.rows([row("one"), row("two")]);
    screen.print("done");
    assert.match(written[0] ?? "", /^⠋ one {2}1\.5 s\n⠋ two {2}1\.5 s\n$/);
    assert.match(written[1] ?? "", /^\u001b\[2A\r\u001b\[Jdone\n⠙ one {2}1\.5 s\n⠙ two/);
  });

  it("never exceeds the terminal's width or height", () => {
    screen.rows(Array.from({ length: 9 }, (_, at) => row(`row ${at} ${"x".repeat(80)}\n`)));
    const lines = (written[0] ?? "").trimEnd().split("\n");
    assert.equal(lines.length, 3);
    assert.match(lines[2] ?? "", /and 7 more/);
    for (const line of lines) assert.ok(line.length <= 30, line);
  });
});

describe("Differences", () => {
  it("shows the inputs of new resources only in the details", () => {
    const differences = new Differences();
    const made = step(
      "x:y:Z",
      "create",
      undefined,
      { size: 1, key: SECRET },
      { urn: "a::b::c::z" },
    );
    const same = step("x:y:Z", "same", {}, {}, { urn: "a::b::c::same" });
    for (const each of [made, resized, same]) differences.add(each);
    assert.deepEqual(differences.lines(made.urn), []);
    assert.deepEqual(plain(differences.details()), [
      "+ would create x:Z z",
      "    + size: 1",
      "    + key: [secret]",
      "~ would update kubernetes:Deployment shop",
      "    spec.replicas: 1 => 2",
      "    spec.key: [secret] => [secret]",
    ]);
  });

  it("cuts long values and escapes control characters", () => {
    const differences = new Differences();
    const long = `\u001b[31m${"x".repeat(900)}`;
    differences.add(step("x:y:Z", "update", { text: "a" }, { text: long }));
    const [line = ""] = plain(differences.lines(resized.urn.replaceAll(DEPLOYMENT, "x:y:Z")));
    assert.match(line, /^ {4}text: a => \\u001b\[31mxxx/);
    assert.ok(line.length < 250);
  });
});

describe("the question before a change", () => {
  async function answered(...answers: string[]) {
    const [stdin, stdout] = [new PassThrough(), new PassThrough({ encoding: "utf8" })];
    let output = "";
    stdout.on("data", (text: string) => {
      output += text;
      if (!text.endsWith("details): ")) return;
      const answer = answers.shift();
      if (answer === undefined) stdin.end();
      else stdin.write(`${answer}\n`);
    });
    const terminal = { stdin, stdout } as unknown as Pick<typeof process, "stdin" | "stdout">;
    return { yes: await goAhead(() => ["~ sizes.replicas: 1 => 2"], terminal), output };
  }

  it("accepts only yes and no, and asks again for any other answer", async () => {
    assert.equal((await answered("yes")).yes, true);
    assert.equal((await answered("no")).yes, false);
    const { yes, output } = await answered("y", "", "yes");
    assert.equal(yes, true);
    assert.equal(output.split("Type yes, no or details.").length, 3);
  });

  it("shows the details and asks again; the end of the input means no", async () => {
    const { yes, output } = await answered("details");
    assert.equal(yes, false);
    assert.match(output, /details\): ~ sizes\.replicas: 1 => 2\nGo ahead\?/);
  });
});

describe("reportLines", () => {
  const preview = (slug: string, more: object = {}) => ({
    stack: `staging.${slug}`,
    result: "succeeded" as const,
    durationMs: 1,
    unchanged: 3,
    changes: [],
    findings: [],
    errors: [],
    ...more,
  });
  const change = {
    op: "update" as const,
    urn: resized.urn,
    type: DEPLOYMENT,
    name: "shop",
    properties: [
      { path: "spec.replicas", kind: "update" as const, replaces: false, old: "1", new: "2" },
    ],
    moreProperties: 0,
  };

  it("shows a report without Markdown or HTML", () => {
    const stacks = [
      preview("blog", { changes: [change] }),
      preview("shop", { changes: [{ ...change, op: "delete", properties: [] }] }),
      preview("bad", { result: "failed", errors: [{ code: "RDEV_SETTINGS", message: "a\nb" }] }),
      preview("same"),
    ];
    const report = makeReport({ stacks, selection: "all", durationMs: 2_000 });
    assert.deepEqual(plain(reportLines(report)), [
      "Replacements, deletions and blocking findings",
      "  staging.shop",
      "    - delete kubernetes:Deployment shop",
      "",
      "Failed",
      "  staging.bad",
      "    ✗ RDEV_SETTINGS: a",
      "      b",
      "",
      "Changes",
      "  staging.blog",
      "    ~ update kubernetes:Deployment shop",
      "        spec.replicas: 1 => 2",
      "",
      "1 stack unchanged. 4 stacks in 2.0 s.",
    ]);
  });
});
