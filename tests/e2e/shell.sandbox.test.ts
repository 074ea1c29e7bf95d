import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { runningSandbox } from "../support/sandbox.ts";
import { proveAlone } from "../support/proofs.ts";
import { projects } from "../support/stage.ts";

const ROOT = join(import.meta.dirname, "../..");

describe("plain pulumi from a shell", function () {
  this.timeout(400_000);
  const project = projects();

  it("makes, previews and destroys a project in the sandbox's folder", async () => {
    const one = await project();
    const pulumi = inShell(`. '${runningSandbox().envFile}'`);
    await pulumi(`stack init ${one.stack}`);
    await pulumi(`config set rdev:name '${one.name}'`);
    assert.match(await pulumi("preview"), /\d+ to create/);
    await pulumi("up --yes");
    const tenantId = (await pulumi("stack output citadelTenantId")).trim();
    await proveAlone({ ...one.place, name: one.name, tenantId });
    assert.match(await pulumi("preview --expect-no-changes"), /\d+ unchanged/);
    await pulumi("destroy --yes");
    await pulumi("stack rm --yes");
    assert.deepEqual(await one.onServers(), []);
  });

  it("changes no file of the repository", async () => {
    const one = await project();
    const before = await settings();
    const pulumi = inShell(`. '${runningSandbox().envFile}'; cd '${ROOT}'`);
    try {
      await pulumi(`stack init --no-select ${one.stack}`);
      await pulumi(`preview --stack ${one.stack}`);
    } finally {
      await pulumi(`stack rm --yes ${one.stack}`);
    }
    assert.deepEqual(await settings(), before);
  });
});

/** Runs pulumi in a shell after the commands `first`, for the stack that was selected last. */
function inShell(first: string): (command: string) => Promise<string> {
  return async (command) => {
    const script = `set -e; ${first}; pulumi ${command} --non-interactive`;
    // Only the variables of a login shell, not those of this process.
    const env = { HOME: process.env["HOME"] ?? "/", PATH: "/usr/local/bin:/usr/bin:/bin" };
    const { stdout } = await execa("bash", ["-c", script], { env, extendEnv: false });
    return stdout;
  };
}

/** Pulumi's files in the repository, with their content. */
async function settings(): Promise<Record<string, string>> {
  const names = (await readdir(ROOT)).filter((name) => name.startsWith("Pulumi"));
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, await readFile(join(ROOT, name), "utf8")] as const),
    ),
  );
}
