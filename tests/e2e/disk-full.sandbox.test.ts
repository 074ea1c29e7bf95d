import assert from "node:assert/strict";
import { cp, mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Outcome } from "../../core/operation.ts";
import { environmentOf, processIds } from "../../automation/processes/processes.ts";
import { runCli } from "../cli/run-cli.ts";
import { projects } from "../support/stage.ts";
import { variable } from "../support/variables.ts";

/** The free space for an up: enough for the stack's file, a lock, and some steps. */
const FREE_KIB = 60;
/**
 * In ms. Pulumi's file backend retries a write for 32 s. The write after that would replace the intact
 * copy of the state by the file that was cut short.
 */
const STALL_MS = 20_000;
const IMPATIENT_UP = join(import.meta.dirname, "../support/impatient-up.ts");

describe("a full disk", function () {
  this.timeout(300_000);
  const project = projects();
  let disk: string;

  before(async function () {
    disk = await mkdtemp(join(tmpdir(), "rdev-disk-"));
    const mount = ["-t", "tmpfs", "-o", "size=64m", "none", disk];
    const { failed } = await execa("mount", mount, { reject: false });
    if (!failed) return;
    console.log(
      "      skipped: mounting a small disk needs root, and does not work in every container",
    );
    this.skip();
  });
  after(async () => {
    await execa("umount", [disk], { reject: false });
    await rm(disk, { recursive: true });
  });

  const resize = (kib: number) => execa("mount", ["-o", `remount,size=${kib}k`, disk]);

  it("fails an up with a clear error, and the next runs converge when there is space again", async () => {
    const one = await project();
    const { pathname } = new URL(variable("PULUMI_BACKEND_URL"));
    await cp(pathname, disk, { recursive: true });
    const full = { PULUMI_BACKEND_URL: `file://${disk}?metadata=skip` };
    const { blocks, bfree, bsize } = await statfs(disk);
    await resize(((blocks - bfree) * bsize) / 1024 + FREE_KIB);
    const args = [IMPATIENT_UP, one.stack, one.workDir, one.name, String(STALL_MS)];
    const { stdout } = await execa("node", args, { env: full });
    const { result, errors } = JSON.parse(stdout) as Outcome;
    assert.equal(result, "failed");
    assert.match(errors[0]?.message ?? "", /no space left on device|whether the disk is full/);
    const marker = `PULUMI_BACKEND_URL=${full.PULUMI_BACKEND_URL}`;
    const left = processIds().filter((pid) => environmentOf(pid).includes(marker));
    assert.deepEqual(left, []);

    await resize(65_536);
    await execa("pulumi", ["cancel", "--yes", one.stack], { cwd: one.workDir, env: full });
    const run = (...args: string[]) =>
      runCli([...args, "--work-dir", one.workDir], { variables: full });
    const config = ["--config", `name=${one.name}`];
    // Pulumi's file backend may have replaced the state by a truncated file.
    const first = await run("preview", one.stack, ...config);
    const state = join(disk, ".pulumi/stacks/rdev", `${one.stack}.json`);
    if (first.code !== 0) {
      assert.match(first.stderr, /a full disk cut its file short/);
      await cp(`${state}.bak`, state);
    }
    const command = async (...args: string[]) => {
      const ran = await run(...args);
      assert.deepEqual([ran.code, ran.stderr], [0, ""]);
      return ran.stdout;
    };
    await command("up", one.stack, "--yes", ...config);
    await command("preview", one.stack, "--expect-no-changes");
    const gone = await command("destroy", one.stack, "--yes", "--remove");
    assert.match(gone, /Nothing is left on gitea/);
    assert.deepEqual(await one.onServers(), []);
  });
});
