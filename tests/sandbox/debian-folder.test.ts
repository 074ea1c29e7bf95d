import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianFolder } from "../../sandbox/debian-folder.ts";
import { withVariables } from "../support/variables.ts";

/** It would install two packages. Its downloads are empty files. */
const APT_GET = `#!/bin/sh
case "$*" in
  *install*) echo "Inst tool (1.0 Debian:12 [amd64])"; echo "Inst library (2:3.4-5 Debian:12 [amd64])" ;;
  *download*) shift; for each in "$@"; do : > "$each.deb"; done ;;
esac
`;

/** It unpacks a file with the archive's name. */
const DPKG_DEB = `#!/bin/sh
basename "$2" > "$3/$(basename "$2")"
`;

describe("a folder of Debian packages", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-infra-debian-"));
    await mkdir(join(folder, "bin"));
    for (const [name, script] of [
      ["apt-get", APT_GET],
      ["dpkg-deb", DPKG_DEB],
    ] as const) {
      await writeFile(join(folder, "bin", name), script, { mode: 0o755 });
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("is made once for all that need it at the same time, with every package in it", async () => {
    const reports: string[] = [];
    const options = {
      cache: join(folder, "cache"),
      part: "test",
      report: (_part: string, text: string) => void reports.push(text),
    };
    const PATH = `${join(folder, "bin")}:${process.env["PATH"]}`;
    const made = await withVariables({ PATH }, () =>
      Promise.all([1, 2, 3].map(() => debianFolder(["tool"], options))),
    );
    assert.deepEqual(made[0]?.packages, ["library 2:3.4-5", "tool 1.0"]);
    assert.equal(new Set(made.map(({ root }) => root)).size, 1);
    assert.equal(reports.filter((text) => text === "downloading 2 Debian packages").length, 1);
    const archive = "library=2:3.4-5.deb";
    assert.equal(await readFile(join(made[0]?.root ?? "", archive), "utf8"), `${archive}\n`);
  });
});
