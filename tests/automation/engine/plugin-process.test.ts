import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PACKAGE } from "../../../automation/engine/folders.ts";
import { findPlugin } from "../../../automation/engine/plugin-process.ts";
import { sdkVersion } from "../../../automation/engine/versions.ts";
import { withVariables } from "../../support/variables.ts";

describe("a plugin's program", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-program-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function install(...path: string[]): Promise<string> {
    const place = join(folder, ...path);
    await mkdir(place, { recursive: true });
    const program = join(place, "pulumi-resource-random");
    await writeFile(program, "#!/bin/sh\n");
    await chmod(program, 0o755);
    return program;
  }
  const find = (variables: Record<string, string> = {}) =>
    withVariables({ PATH: join(folder, "bin"), PULUMI_HOME: folder, ...variables }, () =>
      findPlugin("random", PACKAGE),
    );

  it("is looked for where the engine does: in PATH, then in Pulumi's home", async () => {
    assert.equal(await find(), undefined);
    const inHome = await install("plugins", `resource-random-v${sdkVersion("random")}`);
    await install("plugins", "resource-random-v0.0.1");
    assert.equal(await find(), inHome);
    const inPath = await install("bin");
    assert.equal(await find(), inPath);
    assert.equal(await find({ PULUMI_IGNORE_AMBIENT_PLUGINS: "true" }), inHome);
  });
});
