import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runPulumi } from "../../../../automation/engine/command.ts";
import { storedState } from "../../../../automation/engine/quirks/state-file.ts";
import { destroy, up } from "../../../../automation/engine/stack.ts";
import { StackState } from "../../../../automation/engine/state.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../../../support/engine-folder.ts";
import { withVariables } from "../../../support/variables.ts";

describe("the state in a backend's file", function () {
  this.timeout(120_000);
  let folder: EngineFolder;
  const inFolder = <T>(work: (workDir: string) => Promise<T>, more = {}) =>
    withVariables({ ...folder.variables, ...more }, () => work(folder.workDir));
  const fileOf = (stack: string) => join(folder.state, ".pulumi/stacks/rdev", `${stack}.json`);

  before(async () => {
    folder = await makeEngineFolder();
    const program = async () => void new Thing("a", { size: 1 });
    const { errors } = await inFolder((workDir) => up("made", { workDir, program }));
    assert.deepEqual(errors, []);
  });
  after(() => folder.remove());

  it("contract: equals what the CLI exports, and is missing when the stack is", async () => {
    const [file, exported] = await inFolder((workDir) =>
      Promise.all([
        storedState("made", workDir),
        runPulumi(["stack", "export", "--stack", "made"], { workDir }),
      ]),
    );
    assert.deepEqual(file, JSON.parse(exported));
    assert.equal(await inFolder((workDir) => storedState("absent", workDir)), "missing");
    await inFolder((workDir) => runPulumi(["stack", "init", "--no-select", "gone"], { workDir }));
    assert.notEqual(await inFolder((workDir) => storedState("gone", workDir)), "missing");
    await inFolder((workDir) => destroy("gone", { workDir, remove: true }));
    assert.equal(await inFolder((workDir) => storedState("gone", workDir)), "missing");
  });

  it("is left to the CLI where the file is not as expected", async () => {
    const resources = async () => (await StackState.read("packed", folder.workDir)).resources;
    const packed = { PULUMI_DIY_BACKEND_GZIP: "true" };
    const program = async () => void new Thing("a", { size: 1 });
    await inFolder((workDir) => up("packed", { workDir, program }), packed);
    assert.equal(await inFolder((workDir) => storedState("packed", workDir)), undefined);
    assert.ok((await inFolder(resources)).length > 0);

    await writeFile(fileOf("newer"), JSON.stringify({ version: 9, checkpoint: {} }));
    assert.equal(await inFolder((workDir) => storedState("newer", workDir)), undefined);
    await writeFile(fileOf("torn"), '{"version":3,');
    assert.equal(await inFolder((workDir) => storedState("torn", workDir)), undefined);
    const elsewhere = { PULUMI_BACKEND_URL: "s3://bucket" };
    assert.equal(await inFolder((workDir) => storedState("made", workDir), elsewhere), undefined);
    const meta = join(folder.state, ".pulumi/meta.yaml");
    await rename(meta, `${meta}.away`);
    assert.equal(await inFolder((workDir) => storedState("made", workDir)), undefined);
    await rename(`${meta}.away`, meta);
  });
});
