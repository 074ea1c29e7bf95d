import assert from "node:assert/strict";
import { type OperationEvent, outcome } from "../../core/operation.ts";
import { up } from "../../automation/engine/stack.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../support/engine-folder.ts";
import { withVariables } from "../support/variables.ts";
import { runCli, type RunOptions } from "./run-cli.ts";

describe("rdev-infra, on the real engine", function () {
  this.timeout(400_000);

  let folder: EngineFolder;

  before(async () => {
    folder = await makeEngineFolder();
  });

  after(() => folder.remove());

  async function createStack(stack: string, readMs = 0) {
    const { workDir, variables } = folder;
    const program = () => {
      new Thing("thing", { readMs });
      return Promise.resolve({});
    };
    const { errors } = await withVariables(variables, () => up(stack, { workDir, program }));
    assert.deepEqual(errors, []);
  }

  const run = (args: readonly string[], options: RunOptions = {}) =>
    runCli([...args, "--work-dir", folder.workDir], { ...options, variables: folder.variables });

  it("prints plain lines without a terminal, and the counts last", async () => {
    await createStack("gone");
    const { code, stdout, stderr } = await run(["destroy", "gone", "--yes"]);
    assert.deepEqual([code, stderr], [0, ""]);
    const [first = "", last = ""] = stdout.trim().split("\n");
    assert.match(first, /^✓ deleted test:Thing thing {2}\d+\.\d s$/);
    assert.match(last, /^destroy of gone: 1 deleted in \d+\.\d s$/);
  });

  it("prints a line of JSON for each event, and the outcome last", async () => {
    await createStack("counted");
    const { code, stdout } = await run(["destroy", "counted", "--yes", "--remove", "--json"]);
    assert.equal(code, 0);
    const lines = stdout.trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as OperationEvent | { event: "outcome" });
    assert.ok(events.some(({ event }) => event === "resourceDone"));
    const {
      durationMs,
      timings = [],
      ...ended
    } = outcome.loose().parse(JSON.parse(lines.at(-1) ?? ""));
    assert.ok(timings.some(({ kind, name }) => kind === "command" && name === "destroy"));
    assert.ok(timings.every(({ startMs }) => startMs <= durationMs));
    assert.deepEqual(ended, {
      event: "outcome",
      operation: "destroy",
      stack: "counted",
      result: "succeeded",
      changes: { create: 0, update: 0, replace: 0, delete: 2, same: 0 },
      outputs: {},
      errors: [],
    });
    const again = await run(["destroy", "counted", "--yes"]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^RDEV_ENGINE: The stack "counted" does not exist/);
  });

  it("stops cleanly at an interrupt and exits with 130", async () => {
    await createStack("stopped", 2_000);
    let interrupted = false;
    const { code, stdout, stderr } = await run(["refresh", "stopped", "--json"], {
      onOutput: (text, child) => {
        if (interrupted || !/resourceStarted.*"thing"/.test(text)) return;
        interrupted = true;
        child.kill("SIGINT");
      },
    });
    assert.equal(code, 130);
    assert.match(stdout, /"result":"cancelled"/);
    assert.match(stderr, /^Stopping after the resources in progress/);
    assert.equal((await run(["refresh", "stopped"])).code, 0); // no lock is left
  });

  it("ends at once at a second interrupt, and leaves no call to a server running", async () => {
    await createStack("killed", 10 * 60_000);
    let interrupted = false;
    const { code, stdout, stderr } = await run(["refresh", "killed", "--json"], {
      onOutput: (text, child) => {
        if (interrupted || !/resourceStarted.*"thing"/.test(text)) return;
        interrupted = true;
        child.kill("SIGINT");
        setTimeout(() => child.kill("SIGINT"), 500); // sooner, it would count as the same press
      },
    });
    assert.equal(code, 130);
    assert.match(stdout, /"result":"cancelled"/);
    assert.match(stderr, /Stopping at once/);
  });
});
