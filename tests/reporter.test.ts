import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import config from "../.mocharc.json" with { type: "json" };

const SLOW = `
describe("slow", () => {
  before((done) => void setTimeout(done, 300));
  it("waits", (done) => void setTimeout(done, 600));
  it("fails", () => { throw new Error("no"); });
});`;
const QUICK = `
describe("quick", () => {
  it("waits less", (done) => void setTimeout(done, 100));
  it.skip("is skipped", () => undefined);
});`;

describe("the reporter", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-reporter-"));
    await writeFile(join(folder, "slow.test.js"), SLOW);
    await writeFile(join(folder, "quick.test.js"), QUICK);
  });
  after(() => rm(folder, { recursive: true }));

  const run = async (...flags: readonly string[]) => {
    const reporter = join(import.meta.dirname, "support/reporter.ts");
    const { stdout } = await execa({
      preferLocal: true,
      reject: false,
      // Otherwise Mocha would take this process's worker for its own.
      extendEnv: true,
      env: { MOCHA_WORKER_ID: undefined },
    })`mocha --no-config --reporter ${reporter} ${flags} ${join(folder, "slow.test.js")} ${join(folder, "quick.test.js")}`;
    return stdout;
  };

  for (const flags of [[], ["--parallel", "--jobs", "2"]]) {
    const how = flags.length > 0 ? "of parallel workers" : "of one process";
    it(`lists the slowest tests and files ${how} before the counts`, async () => {
      const output = await run(...flags, "--reporter-option", "slowest=2");
      const list = output.slice(output.indexOf("slowest tests:")).replaceAll(/\d+\.\d s/g, "N s");
      assert.match(
        list,
        /^slowest tests:\n +N s {2}slow waits\n +N s {2}slow "before all" hook .*\n\n/,
      );
      assert.match(
        list,
        /slowest files:\n +N s {2}\S+slow\.test\.js \(3\)\n +N s {2}\S+quick\.test\.js \(1\)\n/,
      );
      assert.match(list, /\n\n2 passed, 1 failed, 1 skipped$/);
    });
  }

  it("lists nothing unless it is asked", async () => {
    const output = await run();
    assert.doesNotMatch(output, /slowest/);
    assert.match(output, /\n2 passed, 1 failed, 1 skipped$/);
  });

  it("is asked for the slowest twenty by npm test", () => {
    assert.deepEqual(config["reporter-option"], ["slowest=20"]);
  });
});
