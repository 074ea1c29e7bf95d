import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EngineOptions, equip, findCli } from "../../sandbox/engine.ts";

describe("engine", () => {
  let folder: string;
  let options: EngineOptions;
  const versions: Record<string, string> = {};
  before(async () => {
    for (const name of ["pulumi", "kubernetes", "random", "command"]) {
      const file = new URL(`../../node_modules/@pulumi/${name}/package.json`, import.meta.url);
      const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
      versions[name] = version.replace(/^v/, "");
    }
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-engine-"));
    options = {
      report: () => undefined,
      cache: join(folder, "cache"),
      isOnline: () => Promise.resolve(false),
    };
  });
  afterEach(() => rm(folder, { recursive: true }));

  // Hides the plugins that the user of this machine has downloaded.
  const home = process.env.PULUMI_HOME;
  beforeEach(() => (process.env.PULUMI_HOME = join(folder, "users-home")));
  afterEach(() => {
    if (home === undefined) delete process.env.PULUMI_HOME;
    else process.env.PULUMI_HOME = home;
  });

  /** Writes a `pulumi` that prints its version and installs empty plugins. */
  async function fakeCli(version: string, bin = join(folder, "bin")): Promise<void> {
    await mkdir(bin, { recursive: true });
    const script = `#!/bin/sh
case "$1" in
  version) echo v${version} ;;
  plugin) mkdir -p "$PULUMI_HOME/plugins/resource-$4-v$5" ;;
esac
`;
    await writeFile(join(bin, "pulumi"), script);
    await chmod(join(bin, "pulumi"), 0o755);
  }

  async function found(version: string) {
    await fakeCli(version);
    const cli = await findCli(join(folder, "bin"));
    assert.ok(cli);
    return cli;
  }

  for (const version of ["3.259.0", "3.259.7", "3.300.1"]) {
    it(`uses ${version} from PATH`, async () => {
      const cli = await found(version);
      assert.deepEqual(cli, {
        command: join(folder, "bin", "pulumi"),
        version,
        source: "found in PATH",
      });
    });
  }

  for (const version of ["3.258.9", "2.400.0", "4.0.0", "(none)"]) {
    it(`ignores ${version} in PATH`, async () => {
      await fakeCli(version);
      assert.equal(await findCli(join(folder, "bin")), undefined);
    });
  }

  it("uses the stand-ins if the official plugins cannot be downloaded, and says so", async () => {
    const engine = await equip(await found("3.259.0"), options);
    assert.deepEqual(
      engine.plugins,
      ["kubernetes", "random", "command"].map((name) => ({
        name,
        version: versions[name],
        source: "stand-in",
      })),
    );
    assert.equal(engine.path[0], join(folder, "bin"));
    assert.deepEqual(
      engine.path.slice(1).map((path) => path.split("/sandbox/plugins/")[1]),
      ["nodejs", "kubernetes", "random", "command"],
    );
    assert.match(engine.description, /^Pulumi 3\.259\.0 \(found in PATH\)/);
    assert.match(engine.description, /kubernetes \S+ \(stand-in\)/);
  });

  it("downloads the official plugins once if it can", async () => {
    const cli = await found("3.259.0");
    const engine = await equip(cli, { ...options, isOnline: () => Promise.resolve(true) });
    assert.deepEqual(
      engine.plugins.map(({ source }) => source),
      ["official", "official", "official"],
    );
    // Only the language host is a stand-in, because this CLI came without one.
    assert.equal(engine.path.length, 2);
    const offline = await equip(cli, options);
    assert.deepEqual(offline.plugins, engine.plugins);
  });

  it("uses the plugins that the user has downloaded", async () => {
    for (const name of ["kubernetes", "random", "command"]) {
      const plugin = `resource-${name}-v${versions[name]}`;
      await mkdir(join(folder, "users-home", "plugins", plugin), { recursive: true });
    }
    const engine = await equip(await found("3.259.0"), options);
    assert.ok(engine.plugins.every(({ source }) => source === "official"));
    assert.equal((await readdir(engine.pluginFolder)).length, 3);
  });

  it("uses no stand-in for the language host if the CLI brings one", async () => {
    const cli = await found("3.259.0");
    await writeFile(join(folder, "bin", "pulumi-language-nodejs"), "");
    const engine = await equip(cli, options);
    assert.ok(!engine.path.some((path) => path.endsWith("/nodejs")));
    assert.match(engine.description, /language host \(official\)/);
  });
});
