import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CommandFailure, runPulumi } from "../../../../automation/engine/command.ts";
import {
  cliErrors,
  cliFailure,
  lockHolders,
  type CliFailure,
} from "../../../../automation/engine/quirks/cli-text.ts";
import { up } from "../../../../automation/engine/stack.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../../../support/engine-folder.ts";
import { withVariables } from "../../../support/variables.ts";

/** The contract test: a pattern of which the text has changed can go, or must be changed. */
describe("the texts of Pulumi's CLI", function () {
  this.timeout(120_000);
  let folder: EngineFolder;
  const seen = new Set<CliFailure>();

  before(async () => {
    folder = await makeEngineFolder();
    const program = async () => void new Thing("a");
    const { errors } = await withVariables(folder.variables, () =>
      up("made", { workDir: folder.workDir, program }),
    );
    assert.deepEqual(errors, []);
  });
  after(() => folder.remove());

  async function failure(
    args: readonly string[],
    variables: Record<string, string | undefined> = {},
  ): Promise<string> {
    const run = () => runPulumi([...args], { workDir: folder.workDir });
    return withVariables({ ...folder.variables, ...variables }, run).then(
      () => assert.fail(`"pulumi ${args.join(" ")}" succeeded`),
      (error: unknown) => {
        assert.ok(error instanceof CommandFailure, String(error));
        const reason = cliFailure(error.stderr);
        if (reason) seen.add(reason);
        return error.stderr;
      },
    );
  }

  async function expect(reason: CliFailure, ...given: Parameters<typeof failure>): Promise<string> {
    const stderr = await failure(...given);
    assert.equal(cliFailure(stderr), reason, stderr);
    return stderr;
  }

  const destroy = ["destroy", "--yes", "--skip-preview", "--stack", "made"];

  it("name a stack that does not exist", () =>
    expect("stack-not-found", ["stack", "export", "--stack", "none"]));

  it("refuse to remove a stack that has resources", () =>
    expect("stack-in-use", ["stack", "rm", "--yes", "--stack", "made"]));

  it("name the holder of a lock", async () => {
    const locks = join(folder.state, ".pulumi/locks/organization/rdev/made");
    const lock = join(locks, "4a7e0a47-1e52-445a-af02-4b89b79ca875.json");
    await mkdir(locks, { recursive: true });
    const timestamp = "2026-11-23T21:02:23Z";
    const holder = { pid: 17_632, username: "alice", hostname: "build-1", timestamp };
    await writeFile(lock, JSON.stringify(holder));
    const stderr = await expect("locked", destroy);
    assert.deepEqual(lockHolders(stderr), [
      { user: "alice", host: "build-1", pid: 17_632, since: timestamp },
    ]);
    await withVariables(folder.variables, () =>
      runPulumi(["cancel", "--yes", "--stack", "made"], { workDir: folder.workDir }),
    );
  });

  it("say that the passphrase is missing or wrong", async () => {
    await expect("passphrase-missing", destroy, { PULUMI_CONFIG_PASSPHRASE: undefined });
    await expect("passphrase-wrong", destroy, { PULUMI_CONFIG_PASSPHRASE: "another" });
  });

  it("say that there is no backend, or that it cannot be reached", async () => {
    const list = ["stack", "ls"];
    const home = { PULUMI_HOME: join(folder.state, "home"), PULUMI_ACCESS_TOKEN: undefined };
    await expect("backend-missing", list, { ...home, PULUMI_BACKEND_URL: undefined });
    const gone = { PULUMI_BACKEND_URL: "postgres://u:secret@127.0.0.1:1/x" };
    const stderr = await expect("backend-unreachable", list, gone);
    assert.match(cliErrors(stderr, ["secret"]).join("\n"), /connection refused/);
  });

  it("say that a state cannot be read", async () => {
    const file = join(folder.state, ".pulumi/stacks/rdev/cut.json");
    await writeFile(file, '{"version":3,"checkpoint":{"stack":"organization/rdev/cut","lat');
    await expect("state-unreadable", ["stack", "export", "--stack", "cut"]);
  });

  it("are all in this test", () => {
    const all: Record<CliFailure, true> = {
      locked: true,
      "stack-not-found": true,
      "stack-in-use": true,
      "state-unreadable": true,
      "passphrase-missing": true,
      "passphrase-wrong": true,
      "backend-missing": true,
      "backend-unreachable": true,
    };
    assert.deepEqual([...seen].toSorted(), Object.keys(all).toSorted());
  });
});
