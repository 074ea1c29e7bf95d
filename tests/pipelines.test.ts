import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { defaultPlaceholder } from "../core/registry.ts";
import { DEFAULT_EVENTS } from "../providers/woodpecker/secret.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");
const files = (...patterns: string[]) => globSync(patterns, { cwd: ROOT });

const secret = z.object({ from_secret: z.string() });
const woodpeckerSchema = z.object({
  when: z.array(z.object({ event: z.union([z.string(), z.array(z.string())]) })),
  steps: z.array(
    z.object({
      name: z.string(),
      image: z.string(),
      commands: z.array(z.string()).default([]),
      directory: z.string().optional(),
      environment: z.record(z.string(), z.union([z.string(), secret])).default({}),
      settings: z.record(z.string(), z.unknown()).default({}),
      when: z.array(z.record(z.string(), z.unknown())).default([]),
    }),
  ),
});
const stepSchema = z.object({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.record(z.string(), z.unknown()).default({}),
  env: z.record(z.string(), z.string()).default({}),
});
const githubSchema = z.object({
  on: z.record(z.string(), z.unknown()),
  permissions: z.record(z.string(), z.string()),
  jobs: z.record(
    z.string(),
    z.object({
      environment: z.string().optional(),
      permissions: z.record(z.string(), z.string()),
      steps: z.array(stepSchema),
    }),
  ),
});

const versionsSchema = z.object({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

const woodpecker = () => woodpeckerSchema.parse(parse(read(".woodpecker/preview.yml")));
const github = () => githubSchema.parse(parse(read(".github/workflows/preview.yml")));
const secretsOf = (environment: Readonly<Record<string, unknown>>) =>
  Object.values(environment).filter((value) => secret.safeParse(value).success);

describe("the pipelines for previews", () => {
  it("never start by a pull request, because its code would decide what they do", () => {
    const events = woodpecker().when.flatMap(({ event }) => event);
    assert.deepEqual(events, ["manual"]);
    // Both run the workflow of the default branch, or of a branch chosen by a person with write access.
    assert.deepEqual(Object.keys(github().on), ["issue_comment", "workflow_dispatch"]);
  });

  it("install packages without scripts, in a step without secrets other than the approval token", () => {
    const { steps } = woodpecker();
    for (const { name, commands, environment } of steps) {
      const installs = commands.filter((command) => /\bnpm (ci|i|install)\b/.test(command));
      assert.ok(
        installs.every((command) => command.includes("--ignore-scripts")),
        name,
      );
      if (installs.length > 0) {
        const secrets = Object.keys(environment);
        assert.ok(secrets.every((secretName) => secretName === "GITEA_COMMENT_TOKEN"));
      }
    }
    assert.deepEqual(steps.find(({ name }) => name === "install")?.environment, {});
    for (const { steps: jobSteps } of Object.values(github().jobs)) {
      const installs = jobSteps.filter(({ run = "" }) => /\bnpm (ci|i|install)\b/.test(run));
      assert.equal(installs.length, 1);
      for (const { run, env } of installs) {
        assert.equal(run, "npm ci --ignore-scripts");
        assert.deepEqual(env, {});
      }
    }
  });

  it("require the approval first, and give production credentials only to the approved code", () => {
    const names = woodpecker().steps.map(({ name }) => name);
    assert.deepEqual(names, ["approval", "install", "preview", "report"]);
    for (const { name, directory, environment, commands } of woodpecker().steps) {
      const isTrusted = name === "approval" || name === "report";
      const isPullRequest = directory === "pull-request";
      assert.notEqual(isTrusted, isPullRequest, name);
      assert.equal("GITEA_COMMENT_TOKEN" in environment, isTrusted, name);
      const hasProductionSecrets = secretsOf(environment).length > 1;
      assert.equal(hasProductionSecrets, name === "preview", name);
      assert.doesNotMatch(commands.join("\n"), /--comment/, name);
    }
    const { permissions, jobs } = github();
    assert.deepEqual(permissions, {});
    assert.deepEqual(Object.keys(jobs), ["approval", "preview", "report"]);
    for (const [name, { environment, steps, permissions: granted }] of Object.entries(jobs)) {
      const isPreview = name === "preview";
      const text = JSON.stringify(steps);
      assert.equal(text.includes("secrets."), isPreview, name);
      assert.equal(text.includes("github.token"), !isPreview, name);
      assert.equal(environment, isPreview ? "preview" : undefined, name);
      if (isPreview) assert.deepEqual(granted, { contents: "read" });
      for (const { uses = "", with: inputs } of steps) {
        if (uses.startsWith("actions/checkout@"))
          assert.equal(inputs["persist-credentials"], false);
      }
    }
  });

  it("put no text of a pull request into a command", () => {
    const commands = Object.values(github().jobs).flatMap(({ steps }) =>
      steps.map(({ run = "" }) => run),
    );
    for (const command of commands) assert.doesNotMatch(command, /\$\{\{/);
  });
});

describe("the pipelines for the service's image", () => {
  it("run for version tags only, and attach an SBOM and the provenance", () => {
    const own = woodpeckerSchema.parse(parse(read(".woodpecker/image.yml")));
    assert.deepEqual(
      own.when.map(({ event }) => event),
      ["tag"],
    );
    const commands = own.steps.flatMap((step) => step.commands).join("\n");
    assert.match(commands, /--opt attest:sbom= --opt attest:provenance=mode=max/);
    // A secret in an argument could be read by other users of the machine.
    assert.doesNotMatch(commands, /buildctl[^\n]*PASSWORD/);

    const { on, permissions, jobs } = githubSchema.parse(
      parse(read(".github/workflows/image.yml")),
    );
    assert.deepEqual(on, { push: { tags: ["v*"] } });
    assert.deepEqual(permissions, {});
    const [job] = Object.values(jobs);
    assert.deepEqual(job?.permissions, { contents: "read", packages: "write" });
    const runs = job.steps.map(({ run = "" }) => run);
    assert.ok(runs.some((run) => run.includes("--sbom=true --provenance=mode=max --push")));
    for (const run of runs) assert.doesNotMatch(run, /\$\{\{/);
  });

  it("build the Containerfile", () => {
    for (const path of [".woodpecker/image.yml", ".github/workflows/image.yml"]) {
      assert.match(read(path), /(filename=|--file )Containerfile\b/, path);
    }
  });
});

describe("a project's pipeline", () => {
  it("gets no secrets for pull requests, and uses them only on the main branch", () => {
    assert.deepEqual(
      DEFAULT_EVENTS.filter((event) => event.startsWith("pull_request")),
      [],
    );
    const { steps } = woodpeckerSchema.parse(parse(template(".woodpecker.yml")));
    const withSecrets = steps.filter(
      ({ environment, settings }) => secretsOf({ ...environment, ...settings }).length > 0,
    );
    assert.equal(withSecrets.length, 2);
    for (const { name, when } of withSecrets) {
      assert.deepEqual(when, [{ event: ["push", "manual"], branch: "main" }], name);
    }
  });
});

/** A template's file, with its variables replaced by their names. */
function template(path: string): string {
  return read(`templates/skeleton/${path}`).replaceAll(/\{\{(\w+)\}\}/g, "$1");
}

describe("the placeholder's image", () => {
  it("has the version in its Dockerfile that projects start with", () => {
    const [, version = ""] =
      /rdev-infra\/placeholder:(\S+)/.exec(read("placeholder/Dockerfile")) ?? [];
    assert.equal(defaultPlaceholder("r.test"), `r.test/rdev-infra/placeholder:${version}`);
    assert.ok(read("README.md").includes(`rdev-infra/placeholder:${version}`));
  });

  it("is built from a program whose tests pass", function () {
    this.timeout(120_000);
    execFileSync("go", ["test", "./..."], { cwd: new URL("placeholder/", ROOT), stdio: "pipe" });
  });
});

describe("the pinning of images and actions", () => {
  const images = [
    ...files(".woodpecker/*.yml", "templates/**/.woodpecker.yml", "templates/**/*.yaml").flatMap(
      (path) =>
        [...read(path).matchAll(/\bimage: (?:&\w+ )?([^*\s]\S*)/g)].map(([, image]) => image),
    ),
    ...files("Containerfile", "templates/**/Dockerfile", "placeholder/Dockerfile").flatMap((path) =>
      [...read(path).matchAll(/^FROM (\S+)/gm)].map(([, image]) => image),
    ),
    ...[...read("Pulumi.staging.yaml").matchAll(/Image: (\S+)/g)].map(([, image]) => image),
    ...[...read("core/settings.ts").matchAll(/"([\w.-]+\/[\w./-]+:[\w.@:-]+)"/g)].map(
      ([, image]) => image,
    ),
  ].filter((image) => image !== undefined);

  it("finds every image", () => {
    const found = new Set(images.map((image) => image.replace(/[:@].*/, "")));
    for (const name of [
      "pulumi/pulumi-nodejs-24",
      "golang",
      "woodpeckerci/plugin-kaniko",
      "alpine/kubectl",
      "moby/buildkit",
      "node",
      "fluent/fluent-bit",
      "scratch",
    ]) {
      assert.ok(found.has(name), name);
    }
  });

  it("pins images to a version or a digest", () => {
    // A template's own image has no version yet, and "scratch" never has one.
    const others = images.filter((image) => image !== "scratch" && !image.startsWith("{{IMAGE}}"));
    for (const image of others) {
      assert.match(image, /^[\w./-]+:v?\d+(\.\d+)*(-[\w.-]+)?(@sha256:[0-9a-f]{64})?$/);
      const [, version = ""] = /:v?([\d.]+)/.exec(image) ?? [];
      assert.equal(version.split(".").length, 3, image);
    }
  });

  it("pins actions to the commit of a version", () => {
    const uses = files(".github/**/*.yml", "templates/**/.github/**/*.yml").flatMap((path) =>
      [...read(path).matchAll(/\buses: (.*)$/gm)].map(([, action = ""]) => action),
    );
    assert.ok(uses.length > 4);
    for (const action of uses)
      assert.match(action, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("pins the machine's system, Node and Pulumi to their versions", () => {
    const workflow = read(".github/workflows/preview.yml");
    assert.doesNotMatch(workflow, /-latest\b/);
    const { dependencies, devDependencies } = versionsSchema.parse(
      JSON.parse(read("package.json")),
    );
    const pulumi = dependencies["@pulumi/pulumi"];
    assert.ok(workflow.includes(`node-version: ${devDependencies["node"]} `));
    assert.ok(workflow.includes(`pulumi-version: ${pulumi} `));
    assert.ok(read(".woodpecker/preview.yml").includes(`:${pulumi}\n`));
    assert.ok(read("Containerfile").includes(`FROM node:${devDependencies["node"]}-`));
  });
});
