import assert from "node:assert/strict";
import { execa } from "execa";
import type { Citadel } from "../../sandbox/citadel/server.ts";
import { type CitadelCaller, withStandIn } from "../support/citadel-caller.ts";

const SCRIPT = new URL("../../sandbox/log.ts", import.meta.url).pathname;

describe("npm run sandbox:log", () => {
  let citadel: Citadel;
  let caller: CitadelCaller;
  let tenant: string;
  withStandIn((standIn) => ({ citadel, caller, tenant } = standIn));

  const run = (...args: string[]) =>
    execa(process.execPath, [SCRIPT, ...args], {
      env: {
        CITADEL_URL: citadel.url,
        CITADEL_API_KEY: citadel.apiKey,
        CITADEL_AGENT_KEY: citadel.agentKey,
      },
      reject: false,
    });

  it("sends a line that a query for the project finds, and prints that query", async () => {
    const { exitCode, stdout, stderr } = await run("my-app", "hello there", "--level", "warn");
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /npx rdev-infra logs "level:warn" --project my-app$/);
    const found = await caller.found("level:warn service:my-app", { "x-tenant-id": tenant });
    assert.deepEqual(found, ["hello there"]);
  });

  it("names a project that Citadel does not know", async () => {
    const { exitCode, stderr } = await run("unknown", "hello");
    assert.equal(exitCode, 1);
    assert.match(stderr, /^RDEV_TENANT: Citadel has no environment for "unknown"/);
  });

  it("refuses a level that Citadel does not have", async () => {
    const { exitCode, stderr } = await run("my-app", "hello", "--level", "fatal");
    assert.equal(exitCode, 1);
    assert.match(stderr, /Allowed choices are error, warn, info, debug, trace/);
  });
});
