import assert from "node:assert/strict";
import { plan, type Run } from "../../sandbox/woodpecker/workflows.ts";

const run: Run = { event: "manual", branch: "main", ref: "main", repository: "rdev/my-app" };
const STEP = "{name: test, image: alpine, commands: [make]}";

/** The expectations are those of Woodpecker 3.17 (pipeline/frontend). */
describe("a configuration in the stand-in for Woodpecker", () => {
  const secrets = new Map([
    ["anywhere", { events: ["manual", "push"], images: null }],
    ["on_push", { events: ["push"], images: null }],
    ["for_plugins", { events: ["manual"], images: ["plugin"] }],
  ]);
  const planOf = (text: string, changes: Partial<Run> = {}) =>
    plan([{ path: ".woodpecker.yml", text }], { ...run, ...changes }, secrets);
  const blocking = (text: string) =>
    planOf(text).errors.flatMap((error) => (error.is_warning ? [] : error.message));
  const steps = (text: string, changes?: Partial<Run>) =>
    planOf(text, changes).workflows.flatMap((workflow) => workflow.steps.map(({ name }) => name));

  it("makes one workflow per file, named after the file, with a clone step first", () => {
    const files = [".woodpecker/b.yaml", ".woodpecker/a.yml"];
    const planned = plan(
      files.map((path) => ({ path, text: `steps: [${STEP}]` })),
      run,
      secrets,
    );
    assert.deepEqual(planned.workflows, [
      ...["a", "b"].map((name) => ({
        name,
        steps: [
          { name: "clone", type: "clone" },
          { name: "test", type: "commands" },
        ],
      })),
    ]);
  });

  it("accepts steps as a list or by name", () => {
    assert.deepEqual(steps("steps: {build: {image: a}, test: {image: b}}"), [
      ...["clone", "build", "test"],
    ]);
  });

  it("is refused without steps, without an image, and with settings beside commands", () => {
    assert.deepEqual(blocking("steps: []"), ["Invalid or missing `steps` section"]);
    assert.deepEqual(blocking(""), ["Invalid or missing `steps` section"]);
    assert.deepEqual(blocking("steps: [{name: a}]"), ["Invalid or missing image"]);
    assert.deepEqual(blocking("steps: [{name: a, image: b, commands: [c], settings: {d: e}}]"), [
      "Cannot configure both `commands` and `settings`",
    ]);
    assert.deepEqual(blocking("steps: [{name: a, image: b, depends_on: c}]"), [
      "One or more of the specified dependencies do not exist",
    ]);
  });

  it("is refused if it is not YAML", () => {
    assert.equal(planOf("steps: [").errors[0]?.type, "compiler");
  });

  it("gets a warning for a step without an event filter", () => {
    const { errors, workflows } = planOf(`steps: [${STEP}]`);
    assert.deepEqual(
      errors.map(({ type, is_warning: isWarning }) => [type, isWarning]),
      [["bad_habit", true]],
    );
    assert.equal(workflows.length, 1);
    assert.deepEqual(planOf(`when: {event: manual}\nsteps: [${STEP}]`).errors, []);
  });

  it("is filtered by event and branch, as a whole and step by step", () => {
    const whole = `when: [{event: push}, {event: manual, branch: [main, "release/*"]}]\nsteps: [${STEP}]`;
    assert.deepEqual(steps(whole), ["clone", "test"]);
    assert.deepEqual(steps(whole, { branch: "release/1" }), ["clone", "test"]);
    assert.deepEqual(steps(whole, { branch: "next" }), []);
    assert.deepEqual(steps(whole, { branch: "next", event: "push" }), ["clone", "test"]);
    const one = `steps: [${STEP}, {name: b, image: c, when: {branch: {exclude: main}}}]`;
    assert.deepEqual(steps(one), ["clone", "test"]);
    assert.deepEqual(steps(one, { branch: "next" }), ["clone", "test", "b"]);
  });

  it("is refused for a secret that is missing, not for this event, or only for plugins", () => {
    const step = (secret: string, rest = "") =>
      `steps: [{name: a, image: b, environment: {X: {from_secret: ${secret}}}${rest}}]`;
    assert.deepEqual(blocking(step("ANYWHERE")), []);
    assert.deepEqual(blocking(step("mistyped")), ['secret "mistyped" not found']);
    assert.deepEqual(blocking(step("on_push")), [
      'secret "on_push" is not allowed to be used with pipeline event "manual"',
    ]);
    assert.match(blocking(step("for_plugins"))[0] ?? "", /only allowed to be used by plugins/);
    const settings = "settings: {list: [{from_secret: mistyped}]}";
    assert.equal(blocking(`steps: [{name: a, image: b, ${settings}}]`).length, 1);
    assert.deepEqual(blocking(step("mistyped", ", when: {event: push}")), []);
  });

  it("is refused if it uses an unsupported key", () => {
    for (const text of [
      `matrix: {A: [1]}\nsteps: [${STEP}]`,
      `when: [{evaluate: "true"}]\nsteps: [${STEP}]`,
      `steps: [{name: a, image: b, when: {platform: linux}}]`,
    ]) {
      assert.throws(() => planOf(text), /does not support/);
    }
    assert.deepEqual(steps(`steps: [{name: a, image: b, settings: {x: [{platform: y}]}}]`), [
      ...["clone", "a"],
    ]);
  });
});
