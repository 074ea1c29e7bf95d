import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Context, createSecrets, partFolder } from "../../sandbox/context.ts";
import { reservePorts } from "../../sandbox/ports.ts";
import { run, startRestartable, startServer, until } from "../../sandbox/process.ts";
import { childrenOf, isRunning } from "../../automation/processes/processes.ts";
import { startReaper } from "../../automation/processes/reaper.ts";

describe("server processes", () => {
  let context: Context;
  const reports: string[] = [];
  before(async () => {
    context = {
      folder: await mkdtemp(join(tmpdir(), "rdev-process-")),
      reaper: startReaper(),
      ports: await reservePorts(),
      secrets: createSecrets(),
      report: (part, text) => reports.push(`${part}: ${text}`),
      forPods: (url) => Promise.resolve(url),
    };
    context.reaper.ownFolder(context.folder);
  });
  after(async () => {
    context.ports.release();
    await context.reaper.close();
  });

  const never = () => Promise.reject(new Error("not yet"));

  it("reports the end of the log of a server that exits, without secrets", async () => {
    const secret = context.secrets.make();
    const script = `for i in $(seq 40); do echo line $i; done; echo key=${secret}; exit 3`;
    const started = startServer(context, {
      name: "broken",
      command: "/bin/sh",
      args: ["-c", script],
      folder: await partFolder(context, "broken"),
      ready: never,
    });
    await assert.rejects(started, (error: Error & { code: string }) => {
      assert.equal(error.code, "RDEV_SANDBOX");
      assert.match(error.message, /^broken did not start: it ended with code 3/);
      assert.match(error.message, /line 40\n\s+key=\[secret\]$/);
      assert.doesNotMatch(error.message, /line 2\n/);
      assert.ok(!error.message.includes(secret));
      return true;
    });
  });

  it("reports that a program is missing", async () => {
    const started = startServer(context, {
      name: "absent",
      command: "/nowhere/server",
      args: [],
      folder: await partFolder(context, "absent"),
      ready: never,
    });
    await assert.rejects(started, /absent did not start: it could not be run \(ENOENT\)/);
  });

  it("gives a command only PATH of this process's environment", async () => {
    process.env.RDEV_TEST_PLANTED = "planted";
    try {
      const output = await run(context.reaper, "env", [], { folder: context.folder });
      assert.ok(!output.includes("planted"));
      assert.match(output, /^PATH=/m);
    } finally {
      delete process.env.RDEV_TEST_PLANTED;
    }
  });

  it("reports a server that exits after it was ready", async () => {
    await startServer(context, {
      name: "brief",
      command: "/bin/sh",
      args: ["-c", "sleep 0.2; exit 7"],
      folder: await partFolder(context, "brief"),
      ready: () => undefined,
    });
    await until(() => assert.ok(reports.includes("brief: it ended with code 7")));
  });

  it("kills a server with its processes, and starts it again", async () => {
    const pids: number[] = [];
    const folder = await partFolder(context, "restartable");
    const server = await startRestartable(async () => {
      const pid = await startServer(context, {
        name: "restartable",
        command: "/bin/sh",
        args: ["-c", "sleep 60 & wait"],
        folder,
        ready: () => undefined,
      });
      await until(() => assert.equal(childrenOf(pid).length, 1));
      pids.push(pid, ...childrenOf(pid));
      return pid;
    });
    await server.kill();
    assert.deepEqual(pids.filter(isRunning), []);
    await server.start();
    assert.equal(new Set(pids).size, 4);
    assert.deepEqual(pids.filter(isRunning), pids.slice(2));
  });

  it("gives up at the deadline with the last error", async () => {
    await assert.rejects(until(never, undefined, 100), /no answer within 0.1 s \(not yet\)/);
  });
});
