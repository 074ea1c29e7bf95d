import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { sdkVersion } from "../../../automation/engine/versions.ts";
import type { Engine } from "../../../sandbox/engine.ts";
import { layerMembers } from "../../../sandbox/images/layer.ts";
import { pulumiEntries } from "../../../sandbox/service-image/pulumi-files.ts";

const NAMES = ["command", "kubernetes", "random"] as const;

describe("Pulumi in the service's image", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-pulumi-files-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function engineWith(programs: readonly string[], source: "official" | "stand-in") {
    const bin = join(folder, "bin");
    await mkdir(bin);
    for (const name of programs) await writeFile(join(bin, name), name);
    const plugins = NAMES.map((name) => ({ name, version: sdkVersion(name), source }));
    const pluginFolder = join(folder, "plugins");
    for (const { name, version } of source === "official" ? plugins : []) {
      const plugin = join(pluginFolder, `resource-${name}-v${version}`);
      await mkdir(plugin, { recursive: true });
      await writeFile(join(plugin, `pulumi-resource-${name}`), "", { mode: 0o755 });
    }
    return {
      command: join(bin, "pulumi"),
      version: sdkVersion("pulumi"),
      source: "found in PATH",
      plugins,
      path: source === "official" ? [bin] : [bin, "stand-ins"],
      pluginFolder,
      description: "",
    } satisfies Engine;
  }

  const membersOf = async (engine: Engine) =>
    new Map(
      (await layerMembers(await pulumiEntries(engine))).map(({ header }) => [
        `/${header.name}`,
        header,
      ]),
    );
  const pluginOf = (name: (typeof NAMES)[number]) =>
    `/opt/pulumi/plugins/resource-${name}-v${sdkVersion(name)}/pulumi-resource-${name}`;

  it("is the official CLI with the official plugins where the engine looks, and no stand-in", async () => {
    const host = ["pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"];
    const members = await membersOf(await engineWith(["pulumi", ...host, "other"], "official"));
    for (const name of ["pulumi", ...host]) {
      const found = members.get(`/opt/pulumi/bin/${name}`);
      assert.deepEqual([found?.type, found?.mode], ["file", 0o755], name);
    }
    for (const name of NAMES) assert.equal(members.get(pluginOf(name))?.type, "file", name);
    const paths = [...members.keys()];
    assert.ok(!paths.some((path) => path.startsWith("/app") || path.endsWith("/other")));
  });

  it("has stand-ins in the same places, as links to programs that are in the image", async () => {
    const members = await membersOf(await engineWith(["pulumi"], "stand-in"));
    const places = [
      ...NAMES.map(pluginOf),
      "/opt/pulumi/bin/pulumi-language-nodejs",
      "/opt/pulumi/bin/pulumi-resource-pulumi-nodejs",
    ];
    for (const place of places) {
      const { type, linkname = "" } = members.get(place) ?? {};
      assert.equal(type, "symlink", place);
      const target = members.get(linkname);
      assert.deepEqual([target?.type, target?.mode], ["file", 0o755], place);
      assert.equal(posix.basename(linkname), posix.basename(place));
    }
    assert.ok(members.has("/app/sandbox/plugins/main.ts"));
  });
});
