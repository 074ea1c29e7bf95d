import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { execa } from "execa";
import type { PlatformSettings } from "../../core/settings.ts";
import { serviceUrl } from "../../sandbox/demo/deployed-pods.ts";
import { startVisits, visit, type Visits } from "../../sandbox/demo/visits.ts";
import type { Image } from "../../sandbox/images/image.ts";
import { pushImage } from "../../sandbox/images/push.ts";
import { PLATFORM, sandboxPlatform } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { type Sandbox, type SandboxOptions, startSandbox } from "../../sandbox/sandbox.ts";

export const COMMAND = join(import.meta.dirname, "../../cli/rdev-infra.js");
const STRATEGIC = setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch);

type Variables = Readonly<Record<string, string | undefined>>;

/** A sandbox with a real node, on which the platform is up. */
export class NodePlatform {
  readonly sandbox: Sandbox;
  readonly cluster: KubeConfig;
  readonly settings: PlatformSettings;
  readonly #variables: Variables;

  readonly #workFolder: string;

  private constructor(
    sandbox: Sandbox,
    settings: PlatformSettings,
    variables: Variables,
    workFolder = sandbox.workFolder,
  ) {
    this.sandbox = sandbox;
    this.settings = settings;
    this.#variables = variables;
    this.#workFolder = workFolder;
    this.cluster = kubeConfig(sandbox);
  }

  /** The same platform, whose commands run in another folder and have further variables. */
  from(workFolder: string, variables: Variables): NodePlatform {
    const all = { ...this.#variables, ...variables };
    return new NodePlatform(this.sandbox, this.settings, all, workFolder);
  }

  /** `prepare` runs before the platform comes up, and returns further variables for the commands. */
  static async start(
    prepare?: (sandbox: Sandbox, settings: PlatformSettings) => Promise<Variables>,
    options?: Pick<SandboxOptions, "ingress">,
  ): Promise<NodePlatform> {
    const settings = await sandboxPlatform();
    const sandbox = await startSandbox({ ...settings, ...options, realNode: true });
    const platform = new NodePlatform(
      sandbox,
      settings,
      (await prepare?.(sandbox, settings)) ?? {},
    );
    await platform.run("up", PLATFORM);
    return platform;
  }

  get node() {
    return this.sandbox.node ?? assert.fail("there is no node");
  }

  env(name: string): string {
    return this.sandbox.env[name] ?? assert.fail(`${name} is not set`);
  }

  /** Runs the command as a user does. Returns what it printed. Fails unless it succeeded. */
  async run(operation: string, ...args: readonly string[]): Promise<string> {
    const { exitCode, all } = await this.try(operation, ...args);
    assert.equal(exitCode, 0, all);
    return all;
  }

  async try(operation: string, ...args: readonly string[]) {
    return this.command(operation, ...args, "--yes");
  }

  /** Runs the command without a confirmation. */
  async command(...args: readonly string[]) {
    return execa(process.execPath, [COMMAND, ...args], {
      env: { ...this.sandbox.env, ...this.#variables },
      cwd: this.#workFolder,
      all: true,
      reject: false,
    });
  }

  async project(slug: string): Promise<NodeProject> {
    const stack = `${PLATFORM}.${slug}`;
    await this.run("up", stack);
    return new NodeProject(this, slug, stack, await serviceUrl({ slug, env: this.sandbox.env }));
  }
}

/** A project that is up on a real node. */
export class NodeProject {
  readonly platform: NodePlatform;
  readonly slug: string;
  readonly stack: string;
  /** The URL of its Service, which works on the node. */
  readonly url: string;

  constructor(platform: NodePlatform, slug: string, stack: string, url: string) {
    this.platform = platform;
    this.slug = slug;
    this.stack = stack;
    this.url = url;
  }

  get place() {
    const { settings, sandbox } = this.platform;
    const { gitOrganization: organization, domain } = settings;
    return { slug: this.slug, organization, domain, dns: sandbox.dns, env: sandbox.env };
  }

  up(): Promise<string> {
    return this.platform.run("up", this.stack);
  }

  async push(image: Image, tag: string): Promise<void> {
    await pushImage(image, {
      url: this.platform.env("REGISTRY_URL"),
      repository: this.slug,
      tag,
      account: {
        username: this.platform.env("REGISTRY_USERNAME"),
        password: this.platform.env("REGISTRY_PASSWORD"),
      },
    });
  }

  image(tag: string): string {
    return `${this.platform.settings.registry}/${this.slug}:${tag}`;
  }

  /** A client with the token that the project's pipeline has. */
  async pipeline(): Promise<KubeConfig> {
    const { data } = await this.platform.cluster
      .makeApiClient(CoreV1Api)
      .readNamespacedSecret({ namespace: this.slug, name: "deploy-token" });
    const token = Buffer.from(data?.["token"] ?? "", "base64").toString();
    const config = new KubeConfig();
    const cluster = this.platform.cluster.getCurrentCluster();
    config.loadFromClusterAndUser(cluster ?? assert.fail(), { name: "pipeline", token });
    return config;
  }

  /** Changes the Deployment's spec with the pipeline's token. */
  async patch(spec: object): Promise<void> {
    const apps = (await this.pipeline()).makeApiClient(AppsV1Api);
    const where = { namespace: this.slug, name: this.slug };
    await apps.patchNamespacedDeployment({ ...where, body: { spec } }, STRATEGIC);
  }

  /** Sets the image with this tag, as the last step of a pipeline does. */
  setImage(tag: string): Promise<void> {
    const containers = [{ name: "app", image: this.image(tag) }];
    return this.patch({ template: { spec: { containers } } });
  }

  /** The pods that run the image with this tag. */
  async pods(tag: string) {
    const core = this.platform.cluster.makeApiClient(CoreV1Api);
    const { items } = await core.listNamespacedPod({ namespace: this.slug });
    return items.filter(({ spec }) => spec?.containers[0]?.image === this.image(tag));
  }

  visits(perSecond: number): Visits {
    return startVisits(this.platform.node, { url: this.url, perSecond });
  }

  /** Waits until the Service answers with this status. Returns the body. */
  async answers(status: number): Promise<string> {
    let body = "";
    await until(async () => {
      const [answer] = await visit(this.platform.node, { url: this.url, perSecond: 1, count: 1 });
      assert.ok(answer && "body" in answer, JSON.stringify(answer));
      assert.equal(answer.status, status);
      body = answer.body;
    });
    return body;
  }
}

/** Ends the client. Fails unless each of its requests was answered with 200. */
export async function allAnswered(visits: Visits): Promise<number> {
  const answers = await visits.stop();
  const others = answers.filter((answer) => !("status" in answer && answer.status === 200));
  assert.deepEqual(others, []);
  return answers.length;
}
