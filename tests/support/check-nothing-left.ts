import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { backendStacks } from "../../automation/engine/backend-stacks.ts";
import { destroy } from "../../automation/engine/stack.ts";
import { PLATFORM, sandboxPlatform } from "../../sandbox/platform.ts";
import { leftOnServers } from "../../sandbox/proofs/left-on-servers.ts";
import { citadelLabelsOf } from "../../sandbox/proofs/project.ts";
import type { RunningSandbox } from "./end-of-run.ts";
import { destroyLeftProjects } from "./left-projects.ts";
import { useSandbox } from "./sandbox.ts";
import { placeOf, succeeded } from "./stage.ts";

const sandbox = JSON.parse(await text(process.stdin)) as RunningSandbox;
useSandbox(sandbox);
const { workFolder: workDir, env } = sandbox;
const stacks = await backendStacks(workDir);
await destroyLeftProjects(workDir);
if (stacks.some(({ name }) => name.kind === "platform")) {
  succeeded(await destroy(PLATFORM, { workDir, remove: true }), PLATFORM);
  const settings = await sandboxPlatform();
  const slugs = [PLATFORM, "rdev-platform", "observability"];
  const left = await Promise.all(slugs.map((slug) => leftOnServers(placeOf(settings, slug))));
  assert.deepEqual(left.flat(), []);
  for (const workload of settings.workloads) {
    assert.deepEqual(await citadelLabelsOf({ env }, workload), {}, workload.name);
  }
}
