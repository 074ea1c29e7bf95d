import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { isSupportedCli, sdkVersion } from "../../../automation/engine/versions.ts";

const COMMAND = join(import.meta.dirname, "../../../automation/engine/command.ts");

describe("the version of Pulumi's CLI", function () {
  this.timeout(20_000);
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "rdev-cli-"))));
  after(() => rm(folder, { recursive: true }));

  for (const [version, supported] of [
    ["3.259.0", true],
    ["3.259.9-dev.1", true],
    ["3.300.0", true],
    ["3.258.9", false],
    ["2.300.0", false],
    ["4.0.0", false],
    ["unknown", false],
  ] as const) {
    it(`${supported ? "accepts" : "rejects"} ${version} with the SDK 3.259.4`, () => {
      assert.equal(isSupportedCli(version, "3.259.4"), supported);
    });
  }

  /** What a process reports about a CLI on PATH of this version. */
  async function check(version: string, variables: Record<string, string> = {}): Promise<string> {
    await writeFile(join(folder, "pulumi"), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
    const module = `
      const { installedPulumi } = await import(${JSON.stringify(COMMAND)});
      await installedPulumi().then(
        () => console.log("accepted"),
        ({ code, message }) => console.log(code + ": " + message));`;
    const { stdout } = await execa(process.execPath, ["--input-type=module", "-e", module], {
      env: {
        PATH: [folder, process.env["PATH"]].join(delimiter),
        PULUMI_HOME: join(folder, "home"),
        ...variables,
      },
    });
    return stdout;
  }

  it("is that of the SDK or newer, else the error says which one to install", async () => {
    const [major, minor] = sdkVersion("pulumi").split(".");
    assert.equal(await check(`v${sdkVersion("pulumi")}`), "accepted");
    const needed = `Install ${major}.${minor}.0 or a later ${major}.x`;
    for (const version of ["3.100.0", "4.1.0"]) {
      const error = await check(`v${version}`);
      assert.match(error, /^RDEV_PREREQUISITE: The command pulumi on PATH cannot be used\./);
      assert.ok(error.includes(`Its version is ${version}. ${needed}`), error);
    }
  });

  it("is not checked if the user has set the SDK's variable for that", async () => {
    const skip = { PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK: "true" };
    assert.equal(await check("v3.100.0", skip), "accepted");
  });
});
