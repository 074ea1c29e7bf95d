/** Runs a step that sleeps, with a child that left its process group. To be killed by a test. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startReaper } from "../../automation/processes/reaper.ts";
import { localBackend } from "../../sandbox/pipelines/local-backend.ts";
import { requireCommand } from "../../sandbox/process.ts";

const [seconds = ""] = process.argv.slice(2);
const reaper = startReaper();
const folder = await mkdtemp(join(tmpdir(), "hanging-step-"));
reaper.ownFolder(folder);
console.log(folder);
const backend = localBackend({
  folder,
  reaper,
  bubblewrap: await requireCommand("bwrap"),
  // The image uses none of them.
  programs: {
    go: { version: "", root: "", cache: "", environment: {} },
    kubectl: { path: "", version: "" },
    executor: { path: "", mounts: [] },
  },
  hosts: "/etc/hosts",
  user: process.getuid?.() === 0 ? { uid: 65_532, gid: 65_532 } : undefined,
});
const workspace = await backend.prepare();
await workspace.run(
  {
    type: "commands",
    image: "alpine",
    commands: [`setsid sleep ${seconds} &`, `sleep ${seconds}`],
    entrypoint: [],
    workspace: "/woodpecker/src",
    workingDirectory: "/woodpecker/src",
    environment: {},
  },
  { signal: new AbortController().signal, onLine: () => undefined },
);
