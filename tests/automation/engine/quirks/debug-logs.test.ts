import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { runPulumi } from "../../../../automation/engine/command.ts";
import { homeWithoutLogs } from "../../../../automation/engine/quirks/debug-logs.ts";
import { rejected } from "../../../support/errors.ts";
import { withVariables } from "../../../support/variables.ts";

const ENGINE = join(import.meta.dirname, "../../../../automation/engine");

/** Writes a log file for each command, and makes the folder for it, like the CLI. */
const CLI = `#!/bin/sh
mkdir -p "$PULUMI_HOME/logs" 2>/dev/null && echo "postgres://u:secret@h" > "$PULUMI_HOME/logs/$$.log"
if [ "$1" = version ]; then echo v3.259.0; else echo "$PULUMI_HOME $PULUMI_CREDENTIALS_PATH"; fi
`;

describe("the home of Pulumi without debug logs", () => {
  let folder: string;
  let home: string;
  const ourHome = () => join(home, "rdev-infra");
  const here = <T>(work: () => Promise<T>, variables: Record<string, string> = {}) =>
    withVariables(
      {
        PULUMI_HOME: home,
        PULUMI_CREDENTIALS_PATH: undefined,
        PATH: [folder, process.env["PATH"]].join(delimiter),
        ...variables,
      },
      work,
    );

  /** Runs a module in a process of its own, because a process looks up the CLI only once. */
  const inProcess = (module: string) =>
    execa(process.execPath, ["--input-type=module", "-e", module.replaceAll("ENGINE", ENGINE)], {
      cwd: folder,
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-home-"));
    home = join(folder, "home");
    await writeFile(join(folder, "pulumi"), CLI, { mode: 0o755 });
  });
  afterEach(async () => {
    await chmod(home, 0o700).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });

  it("gets no debug log from any command of the CLI", async () => {
    const { stdout } = await here(() =>
      inProcess(`
        import { installedPulumi, runPulumi } from "ENGINE/command.ts";
        await installedPulumi();
        await runPulumi(["stack", "ls"], { workDir: "." });
        console.log(process.env.PULUMI_HOME);`),
    );
    assert.equal(stdout, home);
    assert.ok(!(await readdir(home)).includes("logs"));
    assert.ok((await stat(join(ourHome(), "logs"))).isFile());
  });

  it("shares plugins, workspaces and login with the user's home, in both directions", async () => {
    await mkdir(join(home, "plugins", "resource-random-v1"), { recursive: true });
    await writeFile(join(home, "credentials.json"), "{}");
    const printed = await here(() => runPulumi(["stack", "ls"], { workDir: folder }));
    assert.equal(printed.trim(), `${ourHome()} ${home}`);
    assert.deepEqual(await readdir(join(ourHome(), "plugins")), ["resource-random-v1"]);
    for (const name of ["plugins", "workspaces"]) {
      await writeFile(join(ourHome(), name, "new"), "");
      assert.ok((await readdir(join(home, name))).includes("new"), name);
    }
    assert.equal(await readFile(join(home, "credentials.json"), "utf8"), "{}");
  });

  it("keeps existing logs, and the folder of credentials that the user has set", async () => {
    await mkdir(join(home, "logs"), { recursive: true });
    await writeFile(join(home, "logs", "old.log"), "old");
    const named = { PULUMI_CREDENTIALS_PATH: join(folder, "login") };
    const variables = await here(homeWithoutLogs, named);
    assert.deepEqual(variables, { PULUMI_HOME: ourHome(), ...named });
    assert.deepEqual(await readdir(join(home, "logs")), ["old.log"]);
  });

  it("is the user's own home if a file is in the place of the logs", async () => {
    await mkdir(home);
    await writeFile(join(home, "logs"), "");
    assert.deepEqual(await here(homeWithoutLogs), {});
    assert.deepEqual(await readdir(home), ["logs"]);
  });

  it("can be prepared by many processes at once", async () => {
    const prepare = `
      import { homeWithoutLogs } from "ENGINE/quirks/debug-logs.ts";
      console.log((await homeWithoutLogs()).PULUMI_HOME);`;
    const runs = await here(() => Promise.all(Array.from({ length: 6 }, () => inProcess(prepare))));
    for (const { stdout } of runs) assert.equal(stdout, ourHome());
    assert.deepEqual((await readdir(ourHome())).toSorted(), [
      "logs",
      "plugins",
      "policies",
      "templates",
      "workspaces",
    ]);
  });

  it("reports what to do if it cannot be prepared", async () => {
    await writeFile(home, "a file");
    const error = await rejected(here(homeWithoutLogs), /ENOTDIR|EEXIST/);
    assert.equal((error as { code?: string }).code, "RDEV_PREREQUISITE");
    assert.match(error.message, /set PULUMI_HOME/);
  });

  it("is the user's own home if nobody can write there, because Pulumi cannot log there either", async function () {
    if (process.getuid?.() === 0) this.skip(); // root may write everywhere
    await mkdir(home);
    await chmod(home, 0o500);
    assert.deepEqual(await here(homeWithoutLogs), {});
  });
});
