import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isRunning, isZombie } from "../../../automation/processes/processes.ts";
import { startReaper } from "../../../automation/processes/reaper.ts";

const REAPER = new URL("../../../automation/processes/reaper.ts", import.meta.url).href;

describe("reaper", function () {
  this.timeout(20_000);
  let folder: string;

  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), "rdev-reaper-"))));

  const hasEnded = (pid: number) => !isRunning(pid) || isZombie(pid);

  async function untilEnded(...pids: number[]): Promise<void> {
    while (!pids.every(hasEnded)) await sleep(20);
  }

  /** A process that owns a folder, a process group, and a process found by its environment. */
  async function owner() {
    const script = `
      import { spawn } from "node:child_process";
      const { startReaper } = await import(${JSON.stringify(REAPER)});
      const reaper = startReaper();
      reaper.ownFolder(${JSON.stringify(folder)});
      reaper.ownProcesses("RDEV_TEST_OWNER=" + process.pid);
      const env = { ...process.env, RDEV_TEST_OWNER: process.pid + ".1" };
      const marked = spawn("sleep", ["60"], { detached: true, stdio: "ignore", env });
      const owned = reaper.spawn("sh", ["-c", "sleep 60 & echo $!; wait"]);
      owned.stdout.once("data", (line) => console.log(marked.pid, owned.pid, Number(line)));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    return { child, pids: String(line).trim().split(" ").map(Number) };
  }

  it("ends everything that its owner started when the owner is killed", async () => {
    const { child, pids } = await owner();
    assert.equal(pids.length, 3);
    assert.ok(!pids.some(hasEnded));
    child.kill("SIGKILL");
    await untilEnded(...pids);
    while (existsSync(folder)) await sleep(20);
  });

  it("ends and removes everything when it is closed", async () => {
    const reaper = startReaper();
    reaper.ownFolder(folder);
    await writeFile(join(folder, "file"), "");
    const child = reaper.spawn("sleep", ["60"]);
    await reaper.close();
    assert.ok(hasEnded(child.pid!));
    assert.ok(!existsSync(folder));
    assert.throws(() => reaper.spawn("sleep", ["60"]), /after its reaper was closed/);
  });

  it("runs a command between the end of the processes and the removal of the folder", async () => {
    const outside = await mkdtemp(join(tmpdir(), "rdev-reaper-"));
    const seen = join(outside, "seen");
    const script = `
      const { startReaper } = await import(${JSON.stringify(REAPER)});
      const reaper = startReaper();
      reaper.ownFolder(${JSON.stringify(folder)});
      const { pid } = reaper.spawn("sleep", ["60"]);
      const look = "ls -d $0; ps -o stat= -p " + pid + " | grep -v Z";
      reaper.ownCommand("/bin/sh", ["-c", "(" + look + ") >" + ${JSON.stringify(seen)}, ${JSON.stringify(folder)}]);
      reaper.ownCommand("/bin/false", []);
      console.log("ready");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    while (existsSync(folder)) await sleep(20);
    assert.equal(await readFile(seen, "utf8"), `${folder}\n`);
    await rm(outside, { recursive: true });
  });

  it("kills a process that ignores its stop signal", async () => {
    const reaper = startReaper();
    reaper.ownFolder(folder);
    const child = reaper.spawn(
      "sh",
      ["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
      {
        stopSignal: "SIGTERM",
        killAfterMs: 100,
      },
    );
    await once(child.stdout!, "data");
    await reaper.close();
    assert.ok(hasEnded(child.pid!));
  });
});
