import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalWorkspace, Stack, type PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { sdkVersion } from "../../../../automation/engine/versions.ts";
import { skippedCommand } from "../../../../automation/engine/quirks/skipped-commands.ts";

describe("the quirk of needless commands", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-commands-"));
    await writeFile(join(folder, "Pulumi.yaml"), "name: rdev\nruntime: nodejs\n");
  });
  after(() => rm(folder, { recursive: true }));

  /** The commands of the CLI that the SDK runs for an operation, and those that are skipped. */
  async function commands(operation: (stack: Stack) => Promise<unknown>) {
    const all: string[] = [];
    const skipped: string[] = [];
    const run = async (args: string[]) => {
      const command = args[0] === "stack" ? args.slice(0, 2).join(" ") : args[0]!;
      const answer = skippedCommand(args);
      all.push(command);
      if (answer !== undefined) skipped.push(command);
      return { stdout: answer ?? "", stderr: "", code: 0 };
    };
    const version = sdkVersion("pulumi");
    const pulumiCommand = { command: "pulumi", version, run } as unknown as PulumiCommand;
    const program = () => Promise.resolve({});
    const workspace = await LocalWorkspace.create({ workDir: folder, program, pulumiCommand });
    await operation(await Stack.select("staging", workspace));
    return { all, skipped };
  }

  it("contract: the SDK runs exactly these commands with an `up`, and all but one are skipped", async () => {
    const { all, skipped } = await commands((stack) => stack.up());
    const others = ["stack output", "stack output", "stack history"];
    assert.deepEqual(all, ["stack select", "up", ...others]);
    assert.deepEqual(skipped, ["stack select", ...others]);
  });

  it("contract: the SDK reads the history after a refresh and a destroy", async () => {
    for (const name of ["refresh", "destroy"] as const) {
      const { all } = await commands((stack) => stack[name]());
      assert.deepEqual(all, ["stack select", name, "stack history"]);
    }
  });
});
