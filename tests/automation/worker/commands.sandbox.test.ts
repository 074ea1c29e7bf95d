import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { makeWorkFolder } from "../../../automation/engine/folders.ts";
import type { Job } from "../../../automation/worker/messages.ts";
import { runJob } from "../../../automation/worker/run-job.ts";
import program from "../../../index.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { findCommand } from "../../../sandbox/process.ts";
import { projects, succeeded } from "../../support/stage.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";
import { variable, withVariables } from "../../support/variables.ts";

describe("a worker's operations", function () {
  this.timeout(400_000);
  const project = projects();
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-commands-"));
    const real = await findCommand("pulumi", variable("PATH"));
    const noting = `#!/bin/sh\necho "$@" >> '${join(folder, "log")}'\nexec '${real}' "$@"\n`;
    await writeFile(join(folder, "pulumi"), noting);
    await chmod(join(folder, "pulumi"), 0o755);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** The commands of Pulumi's CLI that a job runs, from the CLI itself, and the job's timings. */
  async function run(slug: string, task: Job["task"]) {
    const log = join(folder, "log");
    await writeFile(log, "");
    const workDir = await makeWorkFolder(join(folder, uniqueSlug()));
    const job = { platform: PLATFORM, slug, settings: {}, formerly: {}, task };
    const path = `${folder}${delimiter}${variable("PATH")}`;
    const { outcome } = await withVariables({ PATH: path }, () =>
      runJob(job, {
        workDir,
        program,
        signal: new AbortController().signal,
        onEvent: () => undefined,
        onStart: () => undefined,
        mayBreakLocks: () => Promise.resolve(false),
        onFact: () => Promise.resolve(),
      }),
    );
    succeeded(outcome);
    const lines = (await readFile(log, "utf8")).trim().split("\n");
    const commands = lines.map((line) => /^(stack )?\w+/.exec(line)?.[0] ?? line);
    const timings = outcome.timings ?? [];
    const timed = timings.filter(({ kind }) => kind === "command").map(({ name }) => name);
    const asked = commands.filter((command) => command !== "version"); // once a process
    assert.deepEqual(timed, asked);
    return { commands: asked, timings };
  }

  it("run no more commands of Pulumi's CLI than these, and list where their time goes", async () => {
    const { slug } = await project();
    const created = await run(slug, { kind: "up", needsEmpty: false });
    assert.deepEqual(created.commands, ["stack init", "up"]);
    const kinds = new Set(created.timings.map(({ kind }) => kind));
    assert.deepEqual([...kinds].toSorted(), ["command", "engine", "program", "resource", "wait"]);
    const names = created.timings.map(({ name }) => name);
    assert.ok(names.includes(`kubernetes:apps/v1:Deployment ${slug}`), names.join("\n"));

    const unchanged = await run(slug, { kind: "up", needsEmpty: false });
    assert.deepEqual(unchanged.commands, ["up"]);
    const preview = { kind: "preview", of: "up", isNewProject: false } as const;
    assert.deepEqual((await run(slug, preview)).commands, ["preview"]);
    const ofDestroy = await run(slug, { ...preview, of: "destroy" });
    assert.deepEqual(ofDestroy.commands, ["destroy"]);
    assert.deepEqual((await run(slug, { kind: "refresh" })).commands, ["refresh"]);

    const destroyed = await run(slug, { kind: "destroy" });
    assert.deepEqual(destroyed.commands, ["stack import", "destroy", "stack rm"]);
    const proofs = destroyed.timings.filter(({ kind }) => kind === "proof");
    assert.ok(
      proofs.some(({ name }) => name === "kubernetes"),
      JSON.stringify(proofs),
    );
  });

  it("preview a new project with three commands", async () => {
    const preview = { kind: "preview", of: "up", isNewProject: true } as const;
    const { commands } = await run(uniqueSlug(), preview);
    assert.deepEqual(commands, ["stack init", "preview", "stack rm"]);
  });
});
