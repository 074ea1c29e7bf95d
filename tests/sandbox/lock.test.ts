import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withLock } from "../../sandbox/lock.ts";

const LOCK = new URL("../../sandbox/lock.ts", import.meta.url).href;

describe("lock", () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "rdev-lock-"))));
  after(() => rm(folder, { recursive: true }));

  /** Starts another process that holds the lock until it is killed. */
  async function holder(path: string) {
    const script = `
      const { withLock } = await import(${JSON.stringify(LOCK)});
      await withLock(${JSON.stringify(path)}, async () => {
        console.log("held");
        await new Promise((end) => setTimeout(end, 60_000));
      });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    return child;
  }

  it("runs one at a time, and calls onWait of the others", async () => {
    const path = join(folder, "one");
    let inside = 0;
    let most = 0;
    let waits = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((end) => setTimeout(end, 20));
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock(path, work, () => waits++)));
    assert.equal(most, 1);
    assert.equal(waits, 2);
  });

  it("is released when its holder is killed", async () => {
    const path = join(folder, "killed");
    const child = await holder(path);
    let waited = false;
    const mine = withLock(
      path,
      () => Promise.resolve("mine"),
      () => {
        waited = true;
        child.kill("SIGKILL");
      },
    );
    assert.equal(await mine, "mine");
    assert.ok(waited);
  });

  it("is released when the work fails", async () => {
    const path = join(folder, "failed");
    await assert.rejects(
      withLock(path, () => Promise.reject(new Error("broken"))),
      /broken/,
    );
    assert.equal(await withLock(path, () => Promise.resolve(1)), 1);
  });
});
