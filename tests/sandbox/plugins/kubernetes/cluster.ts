/** The sandbox's API server, looked at and changed past the engine. */
import { makeApi, type Api } from "../../../../sandbox/plugins/kubernetes/api.ts";
import { isNotFound } from "../../../../sandbox/plugins/kubernetes/api-error.ts";
import { makeClient, type Client } from "../../../../sandbox/plugins/kubernetes/client.ts";
import { findCluster } from "../../../../sandbox/plugins/kubernetes/kubeconfig.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";

const API_VERSIONS: Readonly<Record<string, string>> = { Deployment: "apps/v1" };
const PATHS: Readonly<Record<string, string>> = {
  ConfigMap: "/api/v1/namespaces/*/configmaps",
  Namespace: "/api/v1/namespaces",
  Deployment: "/apis/apps/v1/namespaces/*/deployments",
};

export class Cluster {
  readonly namespace: string;
  readonly #client: Client;
  readonly #api: Api;

  private constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#api = makeApi(client);
    this.namespace = namespace;
  }

  /** Connects, and makes a namespace for a test. */
  static async withNamespace(): Promise<Cluster> {
    const client = await makeClient(await findCluster({}));
    const namespace = `plugins-${Math.random().toString(36).slice(2, 10)}`;
    const cluster = new Cluster(client, namespace);
    await cluster.make({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    return cluster;
  }

  async make(object: Properties): Promise<void> {
    await this.#api.create(object, { fieldManager: "test", dryRun: false });
  }

  /** Undefined where there is none. */
  async find(kind: string, name: string): Promise<Properties | undefined> {
    const apiVersion = API_VERSIONS[kind] ?? "v1";
    try {
      return await this.#api.get({ apiVersion, kind, namespace: this.namespace, name });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async get(kind: string, name: string): Promise<Properties> {
    const found = await this.find(kind, name);
    if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
    return found;
  }

  async list(kind: string): Promise<Properties[]> {
    const apiVersion = API_VERSIONS[kind] ?? "v1";
    return this.#api.list({ apiVersion, kind, namespace: this.namespace }, {});
  }

  /** Changes an object as another field manager does, with a strategic merge patch. */
  async change(kind: string, name: string, body: Properties, fieldManager = "test"): Promise<void> {
    await this.#client.send({
      method: "PATCH",
      path: `${(PATHS[kind] ?? "").replace("*", this.namespace)}/${name}`,
      query: { fieldManager },
      contentType: "application/strategic-merge-patch+json",
      body,
    });
  }

  /** As `kubectl scale`, through the subresource. */
  async scale(name: string, replicas: number): Promise<void> {
    await this.#client.send({
      method: "PATCH",
      path: `${(PATHS["Deployment"] ?? "").replace("*", this.namespace)}/${name}/scale`,
      query: { fieldManager: "kubectl" },
      contentType: "application/merge-patch+json",
      body: { spec: { replicas } },
    });
  }

  async remove(kind: string, name: string): Promise<void> {
    const apiVersion = API_VERSIONS[kind] ?? "v1";
    const identity = { apiVersion, kind, namespace: this.namespace, name };
    await this.#api.delete(identity, "Background");
  }

  /** Lets the namespace go; that takes the controller some seconds, which no test waits for. */
  async end(): Promise<void> {
    await this.remove("Namespace", this.namespace);
  }
}
