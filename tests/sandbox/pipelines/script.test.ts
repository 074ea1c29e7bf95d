import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { scriptOf } from "../../../sandbox/pipelines/script.ts";

describe("the script of a step's commands", () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "script-"));
  });
  afterEach(() => rm(home, { recursive: true }));

  const run = (commands: string[], env: Record<string, string> = {}) =>
    execa("/bin/sh", ["-e"], {
      input: scriptOf(commands, join(home, "a b")),
      env: { PATH: "/usr/bin:/bin", HOME: home, ...env },
      extendEnv: false,
      reject: false,
    });

  it("shows each command as it is written, and stops at the first that fails", async () => {
    const { stdout, exitCode } = await run(["echo 'it'\"'\"'s' $HOME", "exit 3", "echo never"]);
    assert.deepEqual(stdout.split("\n"), [`+ echo 'it'"'"'s' $HOME`, `it's ${home}`, "+ exit 3"]);
    assert.equal(exitCode, 3);
  });

  it("runs in the step's folder, which it makes", async () => {
    assert.equal((await run(["pwd"])).stdout, `+ pwd\n${join(home, "a b")}`);
  });

  it("writes the clone's account to .netrc, and takes it out of the variables", async () => {
    const account = { CI_NETRC_USERNAME: "ada", CI_NETRC_PASSWORD: "planted" };
    const { stdout } = await run(["env", 'cat "$HOME/.netrc"', 'stat -c %a "$HOME/.netrc"'], {
      CI_NETRC_MACHINE: "gitea.example.com",
      ...account,
    });
    assert.match(stdout, /^machine gitea.example.com\nlogin ada\npassword planted$/m);
    assert.match(stdout, /^600$/m);
    assert.doesNotMatch(stdout, /^CI_NETRC_(USERNAME|PASSWORD)=/m);
  });
});
