import { setTimeout as sleep } from "node:timers/promises";
import type {
  AppsV1Api,
  AutoscalingV2Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObject,
  KubernetesObjectApi,
  PatchStrategy,
  V1Namespace,
} from "@kubernetes/client-node";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import { connectionCode, kubernetesError, refusal } from "./errors.ts";
import { managedFieldsOf, type ManagedFields } from "./managed-fields.ts";

/** For one request, in ms. */
const REQUEST_DEADLINE = 30_000;
const TRIES = 5;

/** What is asked of a namespace. */
export interface NamespaceSettings {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A namespace on the server. */
export interface LiveNamespace extends NamespaceSettings {
  readonly uid: string;
  /** It was deleted, and is waiting for what is in it to go. */
  readonly isTerminating: boolean;
  /** Why it is still there, in the server's words. */
  readonly remains: string;
}

/** A Deployment on the server. */
export interface LiveDeployment {
  readonly annotations: Readonly<Record<string, string>>;
  /** Counts the changes of its spec. */
  readonly generation: number;
  readonly replicas: number;
  readonly managedFields: readonly ManagedFields[];
}

/** An object of any kind, named. */
export interface ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** The Kubernetes API, as far as it is used here, as the kubeconfig's user. */
export class Kubernetes {
  readonly #api: CoreV1Api;
  readonly #apps: AppsV1Api;
  readonly #autoscaling: AutoscalingV2Api;
  readonly #objects: KubernetesObjectApi;
  readonly #serverSideApply: Parameters<CoreV1Api["patchNamespace"]>[1];
  readonly #mergePatch: PatchStrategy;
  readonly #server: string;
  readonly #secrets: readonly string[];

  private constructor(
    apis: {
      core: CoreV1Api;
      apps: AppsV1Api;
      autoscaling: AutoscalingV2Api;
      objects: KubernetesObjectApi;
    },
    serverSideApply: Parameters<CoreV1Api["patchNamespace"]>[1],
    mergePatch: PatchStrategy,
    config: KubeConfig,
  ) {
    this.#api = apis.core;
    this.#apps = apis.apps;
    this.#autoscaling = apis.autoscaling;
    this.#objects = apis.objects;
    this.#serverSideApply = serverSideApply;
    this.#mergePatch = mergePatch;
    this.#server = config.getCurrentCluster()?.server ?? "";
    const user = config.getCurrentUser();
    this.#secrets = [user?.token, user?.password].filter((text) => text !== undefined);
  }

  /** Errors: RDEV_CONNECTION where the kubeconfig cannot be read or names no cluster. */
  static async connect(): Promise<Kubernetes> {
    const { kubeconfig } = connection("kubernetes");
    // Loads slowly, and is not needed for a preview.
    const library = await import("@kubernetes/client-node");
    const config = new library.KubeConfig();
    try {
      config.loadFromDefault();
    } catch (error) {
      throw unusable(kubeconfig, (error as NodeJS.ErrnoException).code ?? "it is no kubeconfig");
    }
    const server = config.getCurrentCluster()?.server;
    if (!server) throw unusable(kubeconfig, "its current context names no cluster");
    const configuration = library.createConfiguration({
      baseServer: new library.ServerConfiguration(server, {}),
      authMethods: { default: config },
      promiseMiddleware: [
        {
          pre: (request) => {
            request.setSignal(AbortSignal.timeout(REQUEST_DEADLINE));
            return Promise.resolve(request);
          },
          post: (response) => Promise.resolve(response),
        },
      ],
    });
    return new Kubernetes(
      {
        core: new library.CoreV1Api(configuration),
        apps: new library.AppsV1Api(configuration),
        autoscaling: new library.AutoscalingV2Api(configuration),
        objects: new library.KubernetesObjectApi(configuration),
      },
      library.setHeaderOptions("Content-Type", library.PatchStrategy.ServerSideApply),
      library.PatchStrategy.MergePatch,
      config,
    );
  }

  async namespace(name: string): Promise<LiveNamespace | undefined> {
    const found = await this.#unless404(() =>
      this.#call(`get namespace ${name}`, () => this.#api.readNamespace({ name })),
    );
    return found && live(found);
  }

  /** Fails where one exists: what somebody made in between is never taken. */
  async createNamespace(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await this.#call(
      `create namespace ${name}`,
      () =>
        this.#api.createNamespace({
          body: { metadata: { name, labels: { ...labels } } },
          fieldManager: MANAGED_BY,
        }),
      { isSafe: false },
    );
  }

  /** By server-side apply: labels and annotations of others stay. Makes none where there is none. */
  async applyNamespace(
    name: string,
    uid: string,
    { labels, annotations }: NamespaceSettings,
  ): Promise<LiveNamespace> {
    const metadata = { name, uid, labels: { ...labels }, annotations: { ...annotations } };
    const applied = await this.#call(`apply namespace ${name}`, () =>
      this.#api.patchNamespace(
        {
          name,
          body: { apiVersion: "v1", kind: "Namespace", metadata },
          fieldManager: MANAGED_BY,
          force: true,
        },
        this.#serverSideApply,
      ),
    );
    return live(applied);
  }

  /** Begins the deletion of a namespace with everything in it; of one that is gone it is a success. */
  async deleteNamespace(name: string, uid: string): Promise<void> {
    await this.#unless404(() =>
      this.#call(`delete namespace ${name}`, () =>
        this.#api.deleteNamespace({ name, body: { preconditions: { uid } } }),
      ),
    );
  }

  /** The image of a container in a Deployment; undefined where there is none. */
  async image(namespace: string, deployment: string, container: string) {
    const found = await this.#unless404(() =>
      this.#call(`get deployment ${namespace}/${deployment}`, () =>
        this.#apps.readNamespacedDeployment({ namespace, name: deployment }),
      ),
    );
    return found?.spec?.template.spec?.containers.find(({ name }) => name === container)?.image;
  }

  async deployment(namespace: string, name: string): Promise<LiveDeployment | undefined> {
    const found = await this.#unless404(() =>
      this.#call(`get deployment ${namespace}/${name}`, () =>
        this.#apps.readNamespacedDeployment({ namespace, name }),
      ),
    );
    return (
      found && {
        annotations: found.metadata?.annotations ?? {},
        generation: found.metadata?.generation ?? 0,
        replicas: found.spec?.replicas ?? 1,
        managedFields: managedFieldsOf(asJson(found.metadata?.managedFields)),
      }
    );
  }

  /** Whether a HorizontalPodAutoscaler, or what makes one, decides a Deployment's replicas. */
  async isAutoscaled(namespace: string, deployment: string): Promise<boolean> {
    const { items } = await this.#call(`list autoscalers in ${namespace}`, () =>
      this.#autoscaling.listNamespacedHorizontalPodAutoscaler({ namespace }),
    );
    return items.some(({ spec }) => {
      const { kind, name } = spec?.scaleTargetRef ?? {};
      return kind === "Deployment" && name === deployment;
    });
  }

  /**
   * Says anew who manages which field of a Deployment. `change` answers undefined where nothing is to
   * be done. Does nothing where there is no such Deployment.
   */
  async changeManagedFields(
    namespace: string,
    name: string,
    change: (all: readonly ManagedFields[]) => Promise<ManagedFields[] | undefined>,
  ): Promise<void> {
    const action = `change the managed fields of deployment ${namespace}/${name}`;
    for (let left = TRIES - 1; ; left--) {
      const found = await this.#unless404(() =>
        this.#call(action, () => this.#apps.readNamespacedDeployment({ namespace, name })),
      );
      const value = found && (await change(managedFieldsOf(asJson(found.metadata?.managedFields))));
      if (!value) return;
      const body = [
        // Refused where somebody changed the object meanwhile.
        {
          op: "replace",
          path: "/metadata/resourceVersion",
          value: found.metadata?.resourceVersion,
        },
        { op: "replace", path: "/metadata/managedFields", value },
      ];
      try {
        await this.#call(action, () =>
          this.#apps.patchNamespacedDeployment({ namespace, name, body }),
        );
        return;
      } catch (error) {
        const isRace = error instanceof InfraError && error.status === 409;
        if (!isRace || left === 0) throw error;
      }
    }
  }

  /** An object of any kind; undefined where there is none. */
  async find({ apiVersion, kind, namespace, name }: ObjectName) {
    return this.#unless404(() =>
      this.#call(`get ${kind} ${name}`, () =>
        this.#objects.read<KubernetesObject>({
          apiVersion,
          kind,
          metadata: { name, ...(namespace !== undefined && { namespace }) },
        }),
      ),
    );
  }

  /** The objects of a kind in a namespace. */
  async list(apiVersion: string, kind: string, namespace: string): Promise<KubernetesObject[]> {
    const found = await this.#call(`list ${kind} in ${namespace}`, () =>
      this.#objects.list<KubernetesObject>(apiVersion, kind, namespace),
    );
    return found.items;
  }

  /** Begins the deletion of an object and of what it made. Of one that is gone it is a success. */
  async delete({ apiVersion, kind, namespace = "", name }: ObjectName): Promise<void> {
    await this.#unless404(() =>
      this.#call(`delete ${kind} ${namespace}/${name}`, () =>
        this.#objects.delete(
          { apiVersion, kind, metadata: { name, namespace } },
          ...[undefined, undefined, undefined, undefined],
          "Foreground",
        ),
      ),
    );
  }

  /** Takes finalizers off an object, so that it goes without what they stand for being done. */
  async setFinalizers(
    { apiVersion, kind, namespace = "", name }: ObjectName,
    finalizers: readonly string[],
  ): Promise<void> {
    await this.#unless404(() =>
      this.#call(`take finalizers off ${kind} ${namespace}/${name}`, () =>
        this.#objects.patch(
          { apiVersion, kind, metadata: { name, namespace, finalizers: [...finalizers] } },
          ...[undefined, undefined, MANAGED_BY, undefined],
          this.#mergePatch,
        ),
      ),
    );
  }

  async #call<T>(
    action: string,
    work: () => Promise<T>,
    { isSafe = true }: { isSafe?: boolean } = {},
  ): Promise<T> {
    for (let left = TRIES - 1; ; left--) {
      try {
        return await work();
      } catch (error) {
        const wait = left > 0 ? waitBefore(error, isSafe, TRIES - left) : undefined;
        if (wait === undefined) {
          throw kubernetesError(error, action, { server: this.#server, secrets: this.#secrets });
        }
        await sleep(wait);
      }
    }
  }

  async #unless404<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof InfraError && error.status === 404) return undefined;
      throw error;
    }
  }
}

/** As the server sent it: the library makes dates of times. */
function asJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** In ms, before the same is tried again; undefined where it must not be. */
function waitBefore(error: unknown, isSafe: boolean, tries: number): number | undefined {
  const backoff = 100 * 2 ** tries;
  const answer = refusal(error);
  if (answer) {
    const statuses = isSafe ? [429, 502, 503, 504] : [429];
    return statuses.includes(answer.status) ? (answer.retryAfter ?? backoff) : undefined;
  }
  const codes = isSafe ? ["ECONNREFUSED", "ECONNRESET", "UND_ERR_SOCKET"] : ["ECONNREFUSED"];
  return codes.includes(connectionCode(error) ?? "") ? backoff : undefined;
}

function live({ metadata, status }: V1Namespace): LiveNamespace {
  const remains = status?.conditions
    ?.filter((condition) => condition.status === "True")
    .map((condition) => condition.message);
  return {
    uid: metadata?.uid ?? "",
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    isTerminating: metadata?.deletionTimestamp !== undefined,
    remains: remains?.join(" ") ?? "",
  };
}

function unusable(kubeconfig: string | undefined, reason: string): InfraError {
  const file = kubeconfig ? `KUBECONFIG (${kubeconfig})` : "The default kubeconfig";
  return new InfraError("RDEV_CONNECTION", `${file} cannot be used: ${reason}.`);
}
