import assert from "node:assert/strict";
import type { Run } from "../../sandbox/woodpecker/filters.ts";
import { plan } from "../../sandbox/woodpecker/workflows.ts";

const run: Run = {
  event: "manual",
  branch: "main",
  ref: "main",
  repository: "rdev/my-app",
  message: "Add a page",
  changedFiles: [],
};
const STEP = "{name: test, image: alpine, commands: [make]}";

/** The expectations are those of Woodpecker 3.17 (pipeline/frontend). */
describe("a configuration in the stand-in for Woodpecker", () => {
  const secrets = new Map([
    ["anywhere", { events: ["manual", "push"], images: null, value: "planted" }],
    ["on_push", { events: ["push"], images: null, value: "planted" }],
    ["for_plugins", { events: ["manual"], images: ["plugin"], value: "planted" }],
  ]);
  const planOf = (text: string, changes: Partial<Run> = {}, variables = {}) =>
    plan([{ path: ".woodpecker.yml", text }], { ...run, ...changes }, secrets, () => variables);
  const blocking = (text: string) =>
    planOf(text).errors.flatMap((error) => (error.is_warning ? [] : error.message));
  const stages = (text: string, changes?: Partial<Run>) =>
    planOf(text, changes).workflows.flatMap((workflow) =>
      workflow.stages.map((stage) => stage.map(({ name }) => name)),
    );
  const steps = (text: string, changes?: Partial<Run>) => stages(text, changes).flat();
  const stepOf = (text: string, name: string, variables = {}) => {
    const all = planOf(text, {}, variables).workflows.flatMap((workflow) => workflow.stages.flat());
    const step = all.find((one) => one.name === name);
    assert.ok(step, name);
    return step;
  };

  it("makes one workflow per file, named after the file, with a clone step first", () => {
    const files = [".woodpecker/b.yaml", ".woodpecker/a.yml"];
    const planned = plan(
      files.map((path) => ({ path, text: `steps: [${STEP}]` })),
      run,
      secrets,
    );
    assert.deepEqual(
      planned.workflows.map(({ name, stages: all }) => [
        name,
        ...all.flat().map((step) => [step.name, step.type]),
      ]),
      [
        ["a", ["clone", "clone"], ["test", "commands"]],
        ["b", ["clone", "clone"], ["test", "commands"]],
      ],
    );
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

  it("orders steps as in the file, or by what they depend on", () => {
    const step = (name: string, rest = "") => `{name: ${name}, image: i${rest}}`;
    assert.deepEqual(stages(`steps: [${step("a")}, ${step("b")}]`), [["clone"], ["a"], ["b"]]);
    const graph = [
      step("d", ", depends_on: [b, c]"),
      step("b", ", depends_on: a"),
      step("c", ", depends_on: [{name: a}, {name: gone, optional: true}]"),
      step("a"),
    ];
    assert.deepEqual(stages(`steps: [${graph.join(", ")}]`), [
      ...[["clone"], ["a"], ["b", "c"], ["d"]],
    ]);
    assert.deepEqual(stages(`steps: [${step("a")}, ${step("b", ", depends_on: []")}]`), [
      ...[["clone"], ["a", "b"]],
    ]);
  });

  it("is refused if steps depend on each other, or on one that is filtered out", () => {
    const both = "steps: [{name: a, image: i, depends_on: b}, {name: b, image: i, depends_on: a}]";
    assert.match(blocking(both)[0] ?? "", /^cycle detected/);
    const filtered =
      "steps: [{name: a, image: i, when: {event: tag}}, {name: b, image: i, depends_on: a}]";
    assert.deepEqual(blocking(filtered), [
      "step 'b' depends on step 'a' which is filtered out by its conditions",
    ]);
  });

  it("filters a push, and no other event, by the files that it changed", () => {
    const filtered = (path: string) =>
      `steps: [${STEP}, {name: b, image: c, when: {path: ${path}}}]`;
    const runsB = (path: string, changes: Partial<Run>) =>
      steps(filtered(path), { event: "push", ...changes }).includes("b");
    const docs = { changedFiles: ["docs/a/b.md"] };
    assert.equal(runsB('"src/**"', docs), false);
    assert.equal(runsB('"docs/**"', docs), true);
    assert.equal(runsB('{exclude: "docs/**"}', docs), false);
    assert.equal(runsB('{exclude: "docs/**"}', { changedFiles: ["docs/a", "main.go"] }), true);
    assert.equal(
      runsB('{include: "src/**", ignore_message: "[ALL]"}', { ...docs, message: "x [all]" }),
      true,
    );
    assert.equal(runsB('"src/**"', { changedFiles: [] }), true);
    assert.equal(runsB('{include: "src/**", on_empty: false}', { changedFiles: [] }), false);
    assert.equal(steps(filtered('"src/**"'), docs).includes("b"), true);
  });

  it("gives a step its own variables as text, and the values of its secrets", () => {
    const environment =
      "{A: text, B: 1, C: true, D: [x, 2], E: {f: [g]}, F: null, G: {from_secret: ANYWHERE}}";
    const step = stepOf(`steps: [{name: a, image: b, environment: ${environment}}]`, "a");
    assert.deepEqual(step.environment, {
      A: "text",
      B: "1",
      C: "true",
      D: "x,2",
      E: '{"f":["g"]}',
      G: "planted",
    });
  });

  it("runs a step after a failure only if its filter names that status", () => {
    const runsOn = (rest: string) => stepOf(`steps: [{name: a, image: b${rest}}]`, "a").runsOn;
    assert.deepEqual(runsOn(""), { success: true, failure: false });
    assert.deepEqual(runsOn(", when: {status: failure}"), { success: false, failure: true });
    const both = ", when: [{status: [success, failure]}]";
    assert.deepEqual(runsOn(both), { success: true, failure: true });
  });

  it("has its variables replaced, and leaves those of the shell", () => {
    const commands = (text: string) =>
      stepOf(`steps: [{name: a, image: b, commands: ['${text}']}]`, "a", {
        CI_COMMIT_SHA: "abc",
      }).commands;
    assert.deepEqual(commands("echo ${CI_COMMIT_SHA} ${NONE}${NONE:-x} $CI_COMMIT_SHA $${Y} $$"), [
      "echo abc x $CI_COMMIT_SHA ${Y} $",
    ]);
    assert.throws(() => commands("${CI_COMMIT_SHA:0:7}"), /does not support/);
  });
});
