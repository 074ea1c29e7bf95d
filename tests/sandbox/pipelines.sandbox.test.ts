import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppsV1Api, KubeConfig } from "@kubernetes/client-node";
import { execa } from "execa";
import { request } from "undici";
import { z } from "zod";
import { type Reaper, startReaper } from "../../automation/processes/reaper.ts";
import { registryHost } from "../../core/registry.ts";
import { Registry } from "../../providers/registry/client.ts";
import { installPackages, missingPackages } from "../../sandbox/debian.ts";
import { startLocalBackend } from "../../sandbox/pipelines/start.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { findCommand } from "../../sandbox/process.ts";
import { json } from "../../sandbox/proofs/project.ts";
import { FAMILIES } from "../../sandbox/tool-families.ts";
import { buildTools } from "../../sandbox/tools.ts";
import { startWoodpecker, type Woodpecker } from "../../sandbox/woodpecker/server.ts";
import { asAdmin } from "../support/forge-user.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { projects, succeeded } from "../support/stage.ts";
import { variable } from "../support/variables.ts";

const pipelineSchema = z.object({
  number: z.number(),
  event: z.string(),
  status: z.string(),
  commit: z.string(),
  errors: z.array(z.object({ message: z.string(), is_warning: z.boolean() })).nullable(),
  workflows: z
    .array(
      z.object({
        state: z.string(),
        children: z.array(
          z.object({
            id: z.number(),
            name: z.string(),
            state: z.string(),
            exit_code: z.number(),
            error: z.string().optional(),
          }),
        ),
      }),
    )
    .default([]),
});
type Pipeline = z.output<typeof pipelineSchema>;

const idSchema = z.object({ id: z.number() });
const OVER = ["success", "failure", "killed", "canceled", "error"];

/** The sandbox's Gitea, registry and API server, with a stand-in for Woodpecker of its own. */
describe("pipelines that run", function () {
  this.timeout(400_000);
  const project = projects();
  const before_ = { url: "", token: "" };
  let reaper: Reaper;
  let woodpecker: Woodpecker;
  const closers: (() => Promise<void>)[] = [];

  before(async () => {
    const packages = await missingPackages();
    if (packages.length > 0) await installPackages(packages, () => undefined);
    const { registry, kubernetesApi } = await sandboxPlatform();
    const cluster = new KubeConfig();
    cluster.loadFromFile(variable("KUBECONFIG"));
    reaper = startReaper();
    const folder = await mkdtemp(join(tmpdir(), "pipelines-"));
    reaper.ownFolder(folder);
    const backend = await startLocalBackend(
      { folder, reaper },
      {
        kubectl: await kubectl(),
        registry: { host: registryHost(registry), url: variable("REGISTRY_URL") },
        kubernetes: { name: kubernetesApi, url: cluster.getCurrentCluster()?.server ?? "" },
        atEnd: (close) => closers.push(close),
      },
    );
    const gitea = { url: variable("GITEA_URL"), token: variable("GITEA_TOKEN") };
    woodpecker = await startWoodpecker({ gitea, backend });
    Object.assign(before_, {
      url: variable("WOODPECKER_URL"),
      token: variable("WOODPECKER_TOKEN"),
    });
    process.env["WOODPECKER_URL"] = woodpecker.url;
    process.env["WOODPECKER_TOKEN"] = woodpecker.token;
  });
  after(async () => {
    process.env["WOODPECKER_URL"] = before_.url;
    process.env["WOODPECKER_TOKEN"] = before_.token;
    await woodpecker.close();
    await Promise.all(closers.map((close) => close()));
    await reaper.close();
  });

  async function kubectl(): Promise<string> {
    const found = await findCommand("kubectl");
    if (found !== undefined) return found;
    const built = await buildTools({ kubectl: FAMILIES.kubectl }, { report: () => undefined });
    return built.kubectl.program("kubectl");
  }

  const call = (path: string, options: { method?: string; status?: number; body?: object } = {}) =>
    json<unknown>(
      `${woodpecker.url}/api${path}`,
      { authorization: `Bearer ${woodpecker.token}` },
      options,
    );

  const read = async (repo: number, number: number) =>
    pipelineSchema.parse(await call(`/repos/${repo}/pipelines/${number}`));

  /** Waits until the pipeline and all of its steps are over. */
  async function finished(repo: number, number: number): Promise<Pipeline> {
    for (;;) {
      const list = z.array(pipelineSchema).parse(await call(`/repos/${repo}/pipelines`));
      if (list.some((one) => one.number === number)) {
        const pipeline = await read(repo, number);
        const running = pipeline.workflows.some(({ state }) => !OVER.includes(state));
        if (OVER.includes(pipeline.status) && !running) return pipeline;
      }
      await sleep(100);
    }
  }

  const states = ({ workflows }: Pipeline) =>
    workflows.flatMap(({ children }) => children.map(({ name, state }) => `${name} ${state}`));

  async function log(repo: number, pipeline: Pipeline, step: string): Promise<string> {
    const steps = pipeline.workflows.flatMap(({ children }) => children);
    const { id } = idSchema.parse(steps.find(({ name }) => name === step));
    const lines = z
      .array(z.object({ data: z.base64() }))
      .nullable()
      .parse(await call(`/repos/${repo}/logs/${pipeline.number}/${id}`));
    return (lines ?? []).map(({ data }) => Buffer.from(data, "base64").toString()).join("\n");
  }

  /** The pipeline, with every log if it did not succeed. */
  async function succeededPipeline(repo: number, number: number): Promise<Pipeline> {
    const pipeline = await finished(repo, number);
    if (pipeline.status !== "success") {
      const steps = pipeline.workflows.flatMap(({ children }) => children);
      const logs = await Promise.all(steps.map(({ name }) => log(repo, pipeline, name)));
      assert.fail(`${JSON.stringify(pipeline, null, 1)}\n${logs.join("\n")}`);
    }
    return pipeline;
  }

  it("test, build, push and deploy a project: at its creation, and at each push", async () => {
    const one = await project();
    succeeded(await one.up());
    const { slug, organization } = one.place;
    const fullName = `${organization}/${slug}`;
    const { id: repo } = idSchema.parse(await call(`/repos/lookup/${fullName}`));
    const registry = new Registry();
    const config = new KubeConfig();
    config.loadFromFile(variable("KUBECONFIG"));
    const apps = config.makeApiClient(AppsV1Api);
    const image = async () => {
      const deployment = await apps.readNamespacedDeployment({ name: slug, namespace: slug });
      return deployment.spec?.template.spec?.containers[0]?.image ?? "";
    };
    const deployed = async (number: number, event: string) => {
      const pipeline = await succeededPipeline(repo, number);
      assert.equal(pipeline.event, event);
      assert.deepEqual(
        states(pipeline),
        ["clone", "test", "image", "deploy"].map((step) => `${step} success`),
      );
      assert.ok((await registry.tags(slug)).includes(pipeline.commit));
      const [name, digest = ""] = (await image()).split("@");
      assert.equal(name, `${(await sandboxPlatform()).registry}/${slug}`);
      assert.match(await log(repo, pipeline, "image"), new RegExp(`Pushed .*@${digest}`));
      return { pipeline, digest };
    };

    const first = await deployed(1, "manual");
    const tests = await log(repo, first.pipeline, "test");
    assert.match(
      tests,
      /^# golang:\S+ is not pulled: this step runs with go1\.\S+ of this machine$/m,
    );
    assert.match(tests, /^ok\s/m);

    const path = `/repos/${fullName}/contents/main.go`;
    const { sha, content } = z
      .object({ sha: z.string(), content: z.string() })
      .parse(await asAdmin(path));
    const changed = `${Buffer.from(content, "base64").toString()}\n// Changed.\nconst changed = 1\n\nfunc init() { _ = changed; println("v2") }\n`;
    await asAdmin(path, {
      method: "PUT",
      body: { sha, content: Buffer.from(changed).toString("base64"), message: "Say v2" },
    });
    const second = await deployed(2, "push");
    assert.notEqual(second.digest, first.digest);
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });

  describe("of a repository", () => {
    const organization = `runs-${randomBytes(4).toString("hex")}`;
    before(() =>
      asAdmin("/orgs", {
        method: "POST",
        status: 201,
        body: { username: organization, visibility: "private" },
      }),
    );
    after(() => asAdmin(`/orgs/${organization}`, { method: "DELETE", status: 204 }));

    let repo: number;
    let fullName: string;
    beforeEach(async () => {
      const body = {
        name: `app-${randomBytes(4).toString("hex")}`,
        private: true,
        auto_init: true,
      };
      const path = `/orgs/${organization}/repos`;
      const made = z
        .object({ id: z.number(), full_name: z.string() })
        .parse(await asAdmin(path, { method: "POST", status: 201, body }));
      fullName = made.full_name;
      const active = await call(`/repos?forge_remote_id=${made.id}`, { method: "POST" });
      repo = idSchema.parse(active).id;
    });
    afterEach(() => asAdmin(`/repos/${fullName}`, { method: "DELETE", status: 204 }));

    /** Commits the configuration to a branch. The push starts a pipeline. */
    async function push(config: string, branch = "main"): Promise<Pipeline> {
      await asAdmin(`/repos/${fullName}/contents/.woodpecker.yml`, {
        method: "POST",
        status: 201,
        body: {
          content: Buffer.from(config).toString("base64"),
          message: "Add a pipeline",
          ...(branch === "main" ? { branch } : { branch: "main", new_branch: branch }),
        },
      });
      for (;;) {
        const [newest] = z.array(pipelineSchema).parse(await call(`/repos/${repo}/pipelines`));
        if (newest) return newest;
        await sleep(50);
      }
    }

    async function run(config: string, branch?: string): Promise<Pipeline> {
      return finished(repo, (await push(config, branch)).number);
    }

    it("mask secrets in logs, and stop at the first step that fails", async () => {
      const value = `planted-${randomBytes(8).toString("hex")}`;
      const secret = { name: "key", value, events: ["push"] };
      await call(`/repos/${repo}/secrets`, { method: "POST", body: secret });
      const done = await run(`
when: {event: push}
steps:
  - name: shows
    image: alpine
    environment: {KEY: {from_secret: key}}
    commands: ['echo "the key is $KEY" >&2', 'test "$KEY" = $(cat .git/HEAD >/dev/null; printf %s "$KEY")']
  - name: fails
    image: alpine
    commands: [echo before, exit 7, echo after]
  - name: later
    image: alpine
    commands: [echo later]
  - name: reports
    image: alpine
    commands: ['echo "the pipeline is a $CI_PIPELINE_STATUS"']
    when: {status: failure}
`);
      assert.deepEqual(states(done), [
        ...["clone success", "shows success", "fails failure", "later skipped", "reports success"],
      ]);
      assert.equal(done.status, "failure");
      assert.match(await log(repo, done, "shows"), /^the key is \*{8}$/m);
      const failing = await log(repo, done, "fails");
      assert.match(failing, /^\+ echo before\nbefore\n\+ exit 7$/m);
      assert.equal(done.workflows[0]?.children[2]?.exit_code, 7);
      assert.match(await log(repo, done, "reports"), /^the pipeline is a failure$/m);
      const logs = await Promise.all(
        ["clone", "shows", "fails"].map((name) => log(repo, done, name)),
      );
      for (const secretText of [value, variable("GITEA_TOKEN")]) {
        assert.ok(!logs.join("\n").includes(secretText));
      }
    });

    it("leave out steps and workflows that their filters exclude", async () => {
      const config = `
when: {event: push, branch: [main, "next/*"]}
steps:
  - {name: always, image: alpine, commands: [ls README.md]}
  - {name: on-main, image: alpine, commands: [echo main], when: {branch: main}}
  - {name: on-docs, image: alpine, commands: [echo docs], when: {path: "docs/**"}}
`;
      const done = await run(config, "next/1");
      assert.deepEqual(states(done), ["clone success", "always success"]);
      await push(config);
      const main = await finished(repo, 2);
      assert.deepEqual(states(main), ["clone success", "always success", "on-main success"]);
    });

    it("show a step neither the sandbox nor its secrets, and run it as a user without rights", async () => {
      const { folder, env } = runningSandbox();
      const done = await run(`
when: {event: push}
steps:
  - name: looks
    image: alpine
    commands:
      - id -u
      - env
      - ls ${folder} ${env["KUBECONFIG"]} /root /etc/shadow || true
      - cat /proc/*/environ | tr '\\\\0' '\\\\n'
      - touch /usr/x /etc/x || true
      - 'echo "home $HOME"; touch $HOME/x $TMPDIR/x'
      - cat $HOME/.netrc .git/config || true
`);
      assert.equal(done.status, "success", await log(repo, done, "looks"));
      const text = await log(repo, done, "looks");
      assert.match(text, /^65532$|^[1-9]\d*$/m);
      for (const hidden of [folder, env["KUBECONFIG"], "/root", "/etc/shadow"]) {
        assert.ok(
          text.includes(`ls: cannot access '${hidden}': No such file or directory`),
          hidden,
        );
      }
      for (const readOnly of ["/usr/x", "/etc/x"]) {
        assert.ok(text.includes(`touch: cannot touch '${readOnly}'`), readOnly);
      }
      assert.match(text, /^cat: \/home\/step\/.netrc: No such file or directory$/m);
      for (const [name, value] of Object.entries(env)) {
        if (/(TOKEN|PASSWORD|PASSPHRASE|SECRET|KEY|ADMIN_URL|DATABASE_URL)$/.test(name))
          assert.ok(!text.includes(value), name);
      }
      const names = Array.from(text.matchAll(/^(\w+)=/gm), ([, name = ""]) => name);
      const others = [...new Set(names)].filter((name) => !/^CI(_|$)/.test(name));
      assert.deepEqual(others.sort(), ["HOME", "OLDPWD", "PATH", "PWD", "SHELL", "TMPDIR"]);
    });

    it("fail with the reason for an image that has no counterpart on this machine", async () => {
      const done = await run(`
when: {event: push}
steps:
  - {name: query, image: "postgres:18", commands: [psql --version]}
  - {name: later, image: alpine, commands: [echo later]}
`);
      assert.deepEqual(states(done), ["clone success", "query failure", "later skipped"]);
      assert.match(
        done.workflows[0]?.children[1]?.error ?? "",
        /^This sandbox pulls no images, and "postgres:18" has no counterpart on this machine\./,
      );
    });

    it("end with all their processes when they are cancelled", async () => {
      const seconds = String(80_000 + Math.floor(Math.random() * 9_999));
      const { number } = await push(`
when: {event: push}
steps:
  - name: hangs
    image: alpine
    commands: ["setsid sleep ${seconds} &", "sleep ${seconds}"]
  - {name: later, image: alpine, commands: [echo later]}
`);
      while ((await sleepers(seconds)) < 2) await sleep(50);
      await call(`/repos/${repo}/pipelines/${number}/cancel`, { method: "POST", status: 204 });
      const done = await finished(repo, number);
      assert.deepEqual(states(done), ["clone success", "hangs killed", "later canceled"]);
      assert.equal(done.status, "killed");
      while ((await sleepers(seconds)) > 0) await sleep(50);
    });

    it("leave no process and no file when the sandbox is killed", async () => {
      const seconds = String(70_000 + Math.floor(Math.random() * 9_999));
      const script = join(import.meta.dirname, "../support/hanging-step.ts");
      const child = execa(process.execPath, [script, seconds], { reject: false });
      while ((await sleepers(seconds)) < 2) await sleep(50);
      child.kill("SIGKILL");
      const { stdout } = await child;
      assert.match(stdout, /hanging-step-/);
      while ((await sleepers(seconds)) > 0 || existsSync(stdout)) await sleep(50);
    });

    it("are cancelled by a newer push to the same branch", async () => {
      const config = `
when: {event: push}
steps:
  - {name: hangs, image: alpine, commands: ["test -f stop || sleep 500"]}
`;
      const { number } = await push(config);
      const body = { content: "", message: "Stop", branch: "main" };
      await asAdmin(`/repos/${fullName}/contents/stop`, { method: "POST", status: 201, body });
      assert.equal((await finished(repo, number)).status, "killed");
      assert.equal((await finished(repo, number + 1)).status, "success");
    });

    it("are not started by a commit that says [skip ci], or by a forged webhook", async () => {
      await asAdmin(`/repos/${fullName}/contents/.woodpecker.yml`, {
        method: "POST",
        status: 201,
        body: {
          content: Buffer.from("steps: [{name: a, image: alpine, commands: [ls]}]").toString(
            "base64",
          ),
          message: "Add a pipeline [skip ci]",
        },
      });
      const forged = await request(`${woodpecker.url}/api/hook?access_token=a.b.c`, {
        method: "POST",
        headers: { "x-gitea-event": "push", "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(forged.statusCode, 400);
      assert.equal(await forged.body.text(), "failure to parse token from hook");
      await sleep(1_000);
      assert.deepEqual(await call(`/repos/${repo}/pipelines`), []);
    });
  });
});

/** How many processes `sleep <seconds>` run on this machine. */
async function sleepers(seconds: string): Promise<number> {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    processes.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.filter((line) => line === `sleep\0${seconds}\0`).length;
}
