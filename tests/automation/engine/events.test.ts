import assert from "node:assert/strict";
import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { EventReader, toRefreshed, toStep } from "../../../automation/engine/events.ts";
import { NO_CHANGES } from "../../../core/operation.ts";
import { outcomeOf } from "../../../automation/engine/outcome.ts";

const URN =
  "urn:pulumi:s::rdev::rdev:components:GitRepo$pulumi-nodejs:dynamic/gitea:Repository::my-app";
const TYPE = "pulumi-nodejs:dynamic/gitea:Repository";
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = { [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", ciphertext: "hidden" };

type Raw = Partial<Record<keyof EngineEvent, unknown>>;

function reader(secrets: readonly string[] = []) {
  let now = 1_000;
  const events = new EventReader(secrets, () => now);
  return {
    read: (raw: Raw) => events.read({ sequence: 0, timestamp: 0, ...raw } as EngineEvent),
    status: (raw: Raw) => events.status({ sequence: 0, timestamp: 0, ...raw } as EngineEvent),
    pass: (ms: number) => (now += ms),
    outputs: () => events.outputs,
    template: () => events.template,
  };
}

const metadata = (more: object = {}) => ({
  op: "create",
  urn: URN,
  type: TYPE,
  new: { custom: true, inputs: { token: "hunter2" }, outputs: {} },
  ...more,
});

const STEP = { urn: URN, type: TYPE, name: "my-app", op: "create", component: false };

describe("EventReader", () => {
  it("reports the start and the end of a resource, with the time between", () => {
    const { read, pass } = reader();
    const started = read({ resourcePreEvent: { metadata: metadata() } });
    assert.deepEqual(started, { event: "resourceStarted", ...STEP });
    pass(250);
    const done = read({ resOutputsEvent: { metadata: metadata() } });
    assert.deepEqual(done, { event: "resourceDone", ...STEP, durationMs: 250 });
  });

  it("reports a failure", () => {
    const { read, pass } = reader();
    read({ resourcePreEvent: { metadata: metadata() } });
    pass(5);
    const failed = read({ resOpFailedEvent: { metadata: metadata(), status: 0, steps: 1 } });
    assert.deepEqual(failed, { event: "resourceFailed", ...STEP, durationMs: 5 });
  });

  it("names the properties that an update changes, without the reference to the provider", () => {
    const { read } = reader();
    const event = read({
      resourcePreEvent: {
        metadata: metadata({ op: "update", detailedDiff: { "spec.size": {}, __provider: {} } }),
      },
    });
    assert.deepEqual(event, {
      event: "resourceStarted",
      ...STEP,
      op: "update",
      changed: ["spec.size"],
    });
  });

  it("keeps what a project's stack records of its template, and ignores another form", () => {
    const { read, template } = reader();
    const type = "rdev:components:TemplateSeed";
    const done = (outputs: object) =>
      read({ resOutputsEvent: { metadata: metadata({ type, new: { outputs } }) } });
    done({ seeded: "The repository has commits: not seeded." }); // of an older version
    assert.equal(template(), undefined);
    const known = {
      template: "skeleton",
      repository: "rdev/my-app",
      repositoryId: 7,
      version: "0123456789abcdef",
      values: { PROJECT_SLUG: "my-app" },
    };
    done({ record: known });
    done({ record: { ...known, version: "unknown" } });
    assert.deepEqual(template(), known);
  });

  it("recognises a component, because it has no object", () => {
    const { read } = reader();
    const event = read({ resourcePreEvent: { metadata: metadata({ new: { outputs: {} } }) } });
    assert.equal(event?.event === "resourceStarted" && event.component, true);
  });

  it("leaves out providers and debug messages", () => {
    const { read } = reader();
    const type = "pulumi:providers:kubernetes";
    assert.equal(read({ resourcePreEvent: { metadata: metadata({ type }) } }), undefined);
    assert.equal(read({ diagnosticEvent: { severity: "debug", message: "hunter2" } }), undefined);
    assert.equal(read({ preludeEvent: { config: {} } }), undefined);
  });

  it("takes the code of rdev-infra out of a message, and removes secrets", () => {
    const { read } = reader(["hunter2"]);
    const message = "RDEV_REFUSED: no, hunter2\n";
    const event = read({ diagnosticEvent: { urn: URN, severity: "error", message } });
    assert.deepEqual(event, {
      event: "diagnostic",
      severity: "error",
      code: "RDEV_REFUSED",
      urn: URN,
      message: "no, [secret]",
    });
  });

  it("reports what a resource waits for as a status and not as an event", () => {
    const { read, status } = reader(["hunter2"]);
    const waits = { urn: URN, severity: "info", message: "[1/3] Finding Pods hunter2\n" };
    const raw = { diagnosticEvent: { ...waits, ephemeral: true } };
    assert.deepEqual(status(raw), { urn: URN, message: "[1/3] Finding Pods [secret]" });
    assert.equal(read(raw), undefined);
    assert.equal(status({ diagnosticEvent: waits }), undefined);
    const debug = { ...waits, severity: "debug", ephemeral: true };
    assert.equal(status({ diagnosticEvent: debug }), undefined);
  });

  it("counts an import as a create, and a replacement once", () => {
    const { read } = reader();
    const resourceChanges = { create: 1, import: 1, replace: 3, "create-replacement": 3, same: 4 };
    assert.deepEqual(read({ summaryEvent: { resourceChanges } }), {
      event: "summary",
      changes: { create: 2, update: 0, replace: 3, delete: 0, same: 4 },
      durationMs: 0,
    });
  });

  it("keeps the stack's outputs, and masks secrets at any depth", () => {
    const { read, outputs } = reader();
    const values = { url: "x", key: SECRET, deep: [{ key: SECRET, n: 1 }] };
    read({
      resOutputsEvent: {
        metadata: metadata({ type: "pulumi:pulumi:Stack", new: { outputs: values } }),
      },
    });
    assert.deepEqual(outputs(), { url: "x", key: "[secret]", deep: [{ key: "[secret]", n: 1 }] });
  });
});

describe("outcome", () => {
  const ended = { events: [], outputs: {}, durationMs: 1, failure: undefined, cancelled: false };
  const error = { event: "diagnostic", severity: "error", message: "no" } as const;

  it("is a success if nothing failed, even after a cancel", () => {
    assert.equal(outcomeOf({ ...ended, cancelled: true }).result, "succeeded");
  });

  it("names each error once", () => {
    const { errors } = outcomeOf({ ...ended, events: [error, error], failure: new Error("x") });
    assert.deepEqual(errors, [{ message: "no" }]);
  });

  it("has the process's failure only if the engine reported no error, and never a stack trace", () => {
    const failed = outcomeOf({ ...ended, failure: new Error("broke") });
    assert.equal(failed.result, "failed");
    assert.deepEqual(failed.changes, NO_CHANGES);
    assert.deepEqual(failed.errors, [{ code: "RDEV_INTERNAL", message: "broke" }]);
  });

  it("has no error if the operation was cancelled", () => {
    const { result, errors } = outcomeOf({ ...ended, failure: new Error("x"), cancelled: true });
    assert.deepEqual({ result, errors }, { result: "cancelled", errors: [] });
  });
});

describe("an operation that reads the servers first", () => {
  const state = (size: number) => ({ custom: true, inputs: { size }, outputs: { size } });
  const event = (kind: "resourcePreEvent" | "resOutputsEvent", step: object) =>
    ({ sequence: 0, timestamp: 0, [kind]: { metadata: metadata(step) } }) as unknown as EngineEvent;

  it("reports what a server says apart from what the program plans", () => {
    const reads = { op: "refresh", old: state(1), new: state(1) };
    const gone = { op: "refresh", old: state(1), new: undefined };
    const plans = { op: "create", new: state(1) };
    const events = [
      event("resourcePreEvent", reads),
      event("resOutputsEvent", gone),
      event("resourcePreEvent", plans),
      event("resOutputsEvent", plans),
    ];
    const refreshed = events.flatMap((each) => toRefreshed(each) ?? []);
    assert.deepEqual(
      refreshed.map(({ op, old, new: live }) => [op, old?.outputs, live]),
      [["refresh", { size: 1 }, undefined]],
    );
    const planned = events.flatMap((each) => toStep(each, false) ?? []);
    assert.deepEqual(
      planned.map(({ op }) => op),
      ["create"],
    );
  });
});
