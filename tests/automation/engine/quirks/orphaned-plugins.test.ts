import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { killEngine } from "../../../../automation/engine/quirks/orphaned-plugins.ts";
import { isRunning, isZombie } from "../../../../automation/processes/processes.ts";

const PLUGIN = createRequire(import.meta.url).resolve("@pulumi/pulumi/cmd/dynamic-provider");

describe("the quirk of orphaned plugins", function () {
  this.timeout(20_000);
  const started: ChildProcess[] = [];
  after(() => started.forEach((child) => child.kill("SIGKILL")));

  it("is avoided: whoever kills an engine kills its plugins, too", async () => {
    // A shell stands in for the engine. Its child runs in a group of its own, like a plugin.
    const engine = spawn("sh", ["-c", "setsid sleep 60 & echo $!; wait"], { detached: true });
    started.push(engine);
    const [line] = (await once(engine.stdout, "data")) as [Buffer];
    const plugin = Number(line);
    assert.ok(isRunning(plugin));
    killEngine(engine);
    await once(engine, "exit");
    while (isRunning(plugin) && !isZombie(plugin)) await sleep(20);
  });

  it("contract: the plugin for dynamic resources does not end without its engine", async () => {
    const plugin = spawn(process.execPath, [PLUGIN, "127.0.0.1:1"]); // nothing listens on port 1
    started.push(plugin);
    await once(plugin.stdout, "data"); // its port: it has started
    await sleep(3_000);
    assert.equal(plugin.exitCode, null);
  });
});
