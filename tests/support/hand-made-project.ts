import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { AppsV1Api, CoreV1Api, NetworkingV1Api } from "@kubernetes/client-node";
import { Redis } from "ioredis";
import { databaseName } from "../../core/slug.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { json, kubeConfig } from "../../sandbox/proofs/project.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { madeByHand } from "./by-hand.ts";
import type { Project } from "./stage.ts";
import { variable } from "./variables.ts";

/** The image that the hand-made Deployment runs. */
export const IMAGE = "registry.example/by-hand:7";

const PIPELINE =
  "when:\n  event: [push, manual]\nsteps:\n  build:\n    image: alpine\n    commands: [echo built]\n";

/** Gitea computes these some time after a push. */
const COMPUTED_LATER = { size: undefined, updated_at: undefined };

/** A project as scripts make it, with something in everything that holds data. */
export class HandMadeProject {
  readonly objects: ReturnType<typeof madeByHand>;
  readonly #project: Pick<Project, "slug" | "place">;

  constructor(project: Pick<Project, "slug" | "place">) {
    this.#project = project;
    this.objects = madeByHand(project);
  }

  async make(): Promise<void> {
    const { repository, ci, database, cache, ...rest } = this.objects;
    const { slug } = this.#project;
    await Promise.all([
      repository
        .make()
        .then(() => this.#commit(".woodpecker.yml", PIPELINE))
        .then(() => ci.make())
        .then(() => this.#secrets()),
      database.make().then(() => this.#rows()),
      cache.make().then(() => redis("SET", `${slug}:kept`, "yes")),
      rest.namespace.make().then(() => this.#deploy()),
      rest.tenant.make().then(() => this.#logs()),
      rest.record.make(),
      rest.images.make(),
    ]);
  }

  /** The servers' complete descriptions of everything. */
  async look(): Promise<unknown> {
    const { repository, ...rest } = this.objects;
    const { slug } = this.#project;
    const config = kubeConfig(this.#project.place);
    const { items: pods } = await config
      .makeApiClient(CoreV1Api)
      .listNamespacedPod({ namespace: slug });
    return {
      ...Object.fromEntries(
        await Promise.all(
          Object.entries(rest).map(async ([name, { look }]) => [name, await look()] as const),
        ),
      ),
      repository: { ...(await repository.look()), ...COMPUTED_LATER },
      commits: await this.commits(),
      ciSecrets: await this.ciSecrets(),
      namespace: await config.makeApiClient(CoreV1Api).readNamespace({ name: slug }),
      deployment: (await this.deployment()).spec,
      service: (await config.makeApiClient(CoreV1Api).readNamespacedService(this.#named)).spec,
      ingress: (await config.makeApiClient(NetworkingV1Api).readNamespacedIngress(this.#named))
        .spec,
      pods: pods.map(({ metadata }) => [metadata?.name, metadata?.labels]),
      owners: await redis("HGET", "rdev-infra:owners", slug),
    };
  }

  async remove(): Promise<void> {
    for (const { remove } of Object.values(this.objects).reverse()) {
      await remove().catch(() => undefined);
    }
    await redis("DEL", `${this.#project.slug}:kept`);
  }

  async commits(): Promise<string[]> {
    const found = await json<{ sha: string }[]>(`${this.#gitea}/commits`, this.#giteaHeaders);
    return found.map(({ sha }) => sha);
  }

  async ciSecrets(): Promise<unknown> {
    const { id } = await this.objects.ci.look();
    return json(`${variable("WOODPECKER_URL")}/api/repos/${id}/secrets`, this.#ciHeaders);
  }

  /** The project's log lines. */
  async logLines(): Promise<string[]> {
    const tenant = await this.objects.tenant.id();
    assert.ok(tenant);
    const { entries } = await new Citadel().query({ tenant }, "service:app", { limit: 10 });
    return entries.map(({ message }) => message);
  }

  deployment() {
    return kubeConfig(this.#project.place)
      .makeApiClient(AppsV1Api)
      .readNamespacedDeployment(this.#named);
  }

  async runningPods(): Promise<number> {
    const core = kubeConfig(this.#project.place).makeApiClient(CoreV1Api);
    const { items } = await core.listNamespacedPod({ namespace: this.#project.slug });
    return items.filter(({ status }) => status?.phase === "Running").length;
  }

  /** Gives the Deployment a volume and an environment variable of its own. */
  async keepInVolume(): Promise<void> {
    const apps = kubeConfig(this.#project.place).makeApiClient(AppsV1Api);
    const body = [
      {
        op: "add",
        path: "/spec/template/spec/volumes",
        value: [{ name: "data", emptyDir: {} }],
      },
      {
        op: "add",
        path: "/spec/template/spec/containers/0/env/-",
        value: { name: "MODE", value: "live" },
      },
    ];
    await apps.patchNamespacedDeployment({ ...this.#named, body });
    await this.#untilReady();
  }

  /** Adds a path to the Ingress. */
  async route(path: string): Promise<void> {
    const networking = kubeConfig(this.#project.place).makeApiClient(NetworkingV1Api);
    const backend = { service: { name: this.#project.slug, port: { number: 8080 } } };
    const value = { path, pathType: "Prefix", backend };
    const body = [{ op: "add", path: "/spec/rules/0/http/paths/-", value }];
    await networking.patchNamespacedIngress({ ...this.#named, body });
  }

  async #untilReady(): Promise<void> {
    for (;;) {
      const { metadata, status } = await this.deployment();
      const { observedGeneration, readyReplicas, replicas, updatedReplicas } = status ?? {};
      const isSeen = observedGeneration === metadata?.generation;
      if (isSeen && readyReplicas === 2 && updatedReplicas === 2 && replicas === 2) return;
      await setTimeout(100);
    }
  }

  get #named() {
    return { name: this.#project.slug, namespace: this.#project.slug };
  }

  get #gitea(): string {
    const { slug, place } = this.#project;
    return `${variable("GITEA_URL")}/api/v1/repos/${place.organization}/${slug}`;
  }

  get #giteaHeaders() {
    return { authorization: `token ${variable("GITEA_TOKEN")}` };
  }

  get #ciHeaders() {
    return { authorization: `Bearer ${variable("WOODPECKER_TOKEN")}` };
  }

  async #commit(path: string, content: string): Promise<void> {
    await json(`${this.#gitea}/contents/${path}`, this.#giteaHeaders, {
      method: "POST",
      status: 201,
      body: { content: Buffer.from(content).toString("base64"), message: `add ${path}` },
    });
    await json(`${this.#gitea}/topics`, this.#giteaHeaders, {
      method: "PUT",
      status: 204,
      body: { topics: ["shop"] },
    });
  }

  /** One that the platform sets as well, and one that it does not know. */
  async #secrets(): Promise<void> {
    const { id } = await this.objects.ci.look();
    for (const name of ["kube_token", "own_token"]) {
      await json(`${variable("WOODPECKER_URL")}/api/repos/${id}/secrets`, this.#ciHeaders, {
        method: "POST",
        body: { name, value: "by hand", events: ["push"] },
      });
    }
  }

  async #rows(): Promise<void> {
    const url = this.databaseUrl;
    await queryOnce(url, "CREATE TABLE kept (message text)");
    await queryOnce(url, "INSERT INTO kept VALUES ('hello')");
  }

  /** With the password that the scripts gave the role. */
  get databaseUrl(): string {
    const url = new URL(variable("POSTGRES_ADMIN_URL"));
    const name = databaseName(this.#project.slug);
    return Object.assign(url, { username: name, password: "mine", pathname: name }).href;
  }

  async #logs(): Promise<void> {
    const tenant = await this.objects.tenant.id();
    assert.ok(tenant);
    await new Citadel().ingest(tenant, [
      {
        timestamp: new Date().toISOString(),
        level: "info",
        message: "a line from before",
        service: "app",
        environment: this.#project.slug,
        target: "app",
      },
    ]);
  }

  async #deploy(): Promise<void> {
    const { slug, place } = this.#project;
    const config = kubeConfig(place);
    const metadata = { name: slug, namespace: slug };
    const labels = { app: slug };
    await config.makeApiClient(AppsV1Api).createNamespacedDeployment({
      namespace: slug,
      body: {
        metadata,
        spec: {
          replicas: 2,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              containers: [
                {
                  name: "web",
                  image: IMAGE,
                  env: [{ name: "DATABASE_URL", value: this.databaseUrl }],
                },
              ],
            },
          },
        },
      },
    });
    await this.#untilReady();
    await config.makeApiClient(CoreV1Api).createNamespacedService({
      namespace: slug,
      body: { metadata, spec: { selector: labels, ports: [{ port: 8080 }] } },
    });
    const backend = { service: { name: slug, port: { number: 8080 } } };
    await config.makeApiClient(NetworkingV1Api).createNamespacedIngress({
      namespace: slug,
      body: {
        metadata,
        spec: {
          rules: [
            {
              host: `${slug}.${place.domain}`,
              http: { paths: [{ path: "/", pathType: "Prefix", backend }] },
            },
          ],
        },
      },
    });
  }
}

export async function redis(...words: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(variable("REDIS_ADMIN_URL"));
  return client.call(...words).finally(() => client.disconnect());
}
