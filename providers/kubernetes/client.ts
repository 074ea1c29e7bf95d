import { setTimeout as sleep } from "node:timers/promises";
import type * as k8s from "@kubernetes/client-node";
import pRetry from "p-retry";
import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import { type PolicyActions, policyActions } from "../../core/settings.ts";
import { unless404 } from "../answers.ts";
import { kubernetesError, waitBeforeRetry } from "./errors.ts";
import { claims, foreignFields, managedFieldsOf, type ManagedFields } from "./managed-fields.ts";
import { isRolledOut, problemOf } from "./rollout.ts";

/** In ms, for one request. */
const REQUEST_DEADLINE = 30_000;
const RETRIES = 4;

/** The version and kind of what puts an admission policy into force. */
export const POLICIES = "admissionregistration.k8s.io/v1";
export const BINDING = "ValidatingAdmissionPolicyBinding";

const binding = z.object({ spec: z.object({ validationActions: policyActions }) });

const apiResources = z.object({
  resources: z.array(z.object({ kind: z.string() })).default([]),
});

/** The labels and annotations of a namespace. */
interface NamespaceSettings {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A namespace on the server. */
interface LiveNamespace extends NamespaceSettings {
  readonly uid: string;
  /** It was deleted and waits until its content is gone. */
  readonly isTerminating: boolean;
  /** Why it still exists, in the server's words. */
  readonly remains: string;
}

/** A Deployment on the server. */
interface LiveDeployment {
  readonly annotations: Readonly<Record<string, string>>;
  /** The server increases it with every change of the spec. */
  readonly generation: number;
  readonly replicas: number;
  readonly managedFields: readonly ManagedFields[];
}

/** The image that a Deployment's container runs. */
interface LiveImage {
  readonly image: string;
  /** Why its pods do not come up; "" if nothing is wrong. */
  readonly problem: string;
  /** Whether its rollout is under way: not complete, and nothing is wrong so far. */
  readonly isRollingOut: boolean;
}

/** The name of an object of any kind. */
export interface ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** A program that manages fields of an object. */
interface Manager {
  readonly manager: string;
  /** The time of its last change, in ISO 8601. Missing after a change through the subresource `scale`. */
  readonly at?: string;
}

/** Fields to merge into an object. */
interface ObjectChange {
  readonly metadata?: object;
  readonly spec?: object;
}

/** The calls of the Kubernetes API that are used here, as the kubeconfig's user. */
export class Kubernetes {
  readonly #core: k8s.CoreV1Api;
  readonly #apps: k8s.AppsV1Api;
  readonly #autoscaling: k8s.AutoscalingV2Api;
  readonly #objects: k8s.KubernetesObjectApi;
  readonly #serverSideApply: Parameters<k8s.CoreV1Api["patchNamespace"]>[1];
  readonly #mergePatch: k8s.PatchStrategy;
  readonly #send: (request: k8s.RequestContext) => Promise<k8s.ResponseContext>;
  readonly #requestTo: (path: string, method: k8s.HttpMethod) => k8s.RequestContext;
  readonly #refusal: typeof k8s.ApiException;
  readonly #server: string;
  readonly #secrets: readonly string[];

  readonly #library: typeof k8s;
  readonly #config: k8s.KubeConfig;

  private constructor(library: typeof k8s, config: k8s.KubeConfig, server: string) {
    this.#library = library;
    this.#config = config;
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
    this.#core = new library.CoreV1Api(configuration);
    this.#apps = new library.AppsV1Api(configuration);
    this.#autoscaling = new library.AutoscalingV2Api(configuration);
    this.#objects = new library.KubernetesObjectApi(configuration);
    const { PatchStrategy, setHeaderOptions } = library;
    this.#serverSideApply = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply);
    this.#mergePatch = PatchStrategy.MergePatch;
    this.#refusal = library.ApiException;
    this.#requestTo = (path, method) => configuration.baseServer.makeRequestContext(path, method);
    this.#send = async (request) => {
      request.setSignal(AbortSignal.timeout(REQUEST_DEADLINE));
      await config.applySecurityAuthentication(request);
      return configuration.httpApi.send(request).toPromise();
    };
    this.#server = server;
    const user = config.getCurrentUser();
    this.#secrets = [user?.token, user?.password].filter((text) => text !== undefined);
  }

  /** Throws RDEV_CONNECTION if the kubeconfig cannot be read or names no cluster. */
  static async connect(): Promise<Kubernetes> {
    const { kubeconfig } = connection("kubernetes");
    // The library loads slowly, and most previews do not need it.
    const library = await import("@kubernetes/client-node");
    const config = new library.KubeConfig();
    try {
      config.loadFromDefault();
    } catch (error) {
      throw unusable(kubeconfig, (error as NodeJS.ErrnoException).code ?? "it is not a kubeconfig");
    }
    const server = config.getCurrentCluster()?.server;
    if (!server) throw unusable(kubeconfig, "its current context names no cluster");
    return new Kubernetes(library, config, server);
  }

  /** A document that the API server publishes as the issuer of ServiceAccounts' tokens. */
  async issuerDocument(
    path: "/.well-known/openid-configuration" | "/openid/v1/jwks",
    signal: AbortSignal,
  ): Promise<unknown> {
    return this.#call(`get ${path}`, async () => {
      // Not the library's own call: it refuses the media type application/jwk-set+json.
      const { RequestContext, HttpMethod, IsomorphicFetchHttpLibrary } = this.#library;
      const request = new RequestContext(this.#server + path, HttpMethod.GET);
      await this.#config.applySecurityAuthentication(request);
      request.setSignal(signal);
      const answer = await new IsomorphicFetchHttpLibrary().send(request).toPromise();
      const text = await answer.body.text();
      if (answer.httpStatusCode === 200) return JSON.parse(text) as unknown;
      throw new this.#library.ApiException(answer.httpStatusCode, text, text, answer.headers);
    });
  }

  async namespace(name: string): Promise<LiveNamespace | undefined> {
    const found = await unless404(
      this.#call(`get namespace ${name}`, () => this.#core.readNamespace({ name })),
    );
    return found && live(found);
  }

  /** Fails if the namespace exists, so one that somebody created meanwhile is never adopted. */
  async createNamespace(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await this.#call(
      `create namespace ${name}`,
      () =>
        this.#core.createNamespace({
          body: { metadata: { name, labels: { ...labels } } },
          fieldManager: MANAGED_BY,
        }),
      { isIdempotent: false },
    );
  }

  /**
   * Sets labels and annotations by server-side apply, which keeps those of others. The uid prevents
   * that it creates a namespace.
   */
  async applyNamespace(
    name: string,
    uid: string,
    { labels, annotations }: NamespaceSettings,
  ): Promise<LiveNamespace> {
    const metadata = { name, uid, labels: { ...labels }, annotations: { ...annotations } };
    const applied = await this.#call(`apply namespace ${name}`, () =>
      this.#core.patchNamespace(
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

  /** Starts the deletion of a namespace with its content. Succeeds if the namespace is gone. */
  async deleteNamespace(name: string, uid: string): Promise<void> {
    await unless404(
      this.#call(`delete namespace ${name}`, () =>
        this.#core.deleteNamespace({ name, body: { preconditions: { uid } } }),
      ),
    );
  }

  /** The image of a container in a Deployment, or undefined if there is none. */
  async image(
    namespace: string,
    deployment: string,
    container: string,
  ): Promise<LiveImage | undefined> {
    const found = await this.#readDeployment(namespace, deployment);
    const image = found?.spec?.template.spec?.containers.find(
      ({ name }) => name === container,
    )?.image;
    if (!found || image === undefined) return undefined;
    if (isRolledOut(found)) return { image, problem: "", isRollingOut: false };
    const pods = await this.#podsOf(namespace, found);
    const problem = problemOf(found, pods, image, Date.now());
    return { image, problem: problem ?? "", isRollingOut: problem === undefined };
  }

  /** Whether all pods of a Deployment run its template and are ready. Undefined if there is none. */
  async isRolledOut(namespace: string, deployment: string): Promise<boolean | undefined> {
    const found = await this.#readDeployment(namespace, deployment);
    return found && isRolledOut(found);
  }

  /** Empty without the right to list pods: the Deployment itself says less, but enough. */
  async #podsOf(namespace: string, { spec }: k8s.V1Deployment): Promise<readonly k8s.V1Pod[]> {
    const labels = Object.entries(spec?.selector.matchLabels ?? {});
    const labelSelector = labels.map(([key, value]) => `${key}=${value}`).join(",");
    try {
      const { items } = await this.#call(`list pods in ${namespace}`, () =>
        this.#core.listNamespacedPod({ namespace, labelSelector }),
      );
      return items;
    } catch (error) {
      if (error instanceof InfraError && error.code === "RDEV_FORBIDDEN") return [];
      throw error;
    }
  }

  async deployment(namespace: string, name: string): Promise<LiveDeployment | undefined> {
    const found = await this.#readDeployment(namespace, name);
    return (
      found && {
        annotations: found.metadata?.annotations ?? {},
        generation: found.metadata?.generation ?? 0,
        replicas: found.spec?.replicas ?? 1,
        managedFields: managedFieldsOf(asJson(found.metadata?.managedFields)),
      }
    );
  }

  #readDeployment(namespace: string, name: string) {
    return unless404(
      this.#call(`get deployment ${namespace}/${name}`, () =>
        this.#apps.readNamespacedDeployment({ namespace, name }),
      ),
    );
  }

  /** Whether a HorizontalPodAutoscaler decides a Deployment's replicas. */
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
   * Replaces the managed fields of a Deployment by what `change` returns. Changes nothing if that is
   * undefined or there is no such Deployment.
   */
  async changeManagedFields(
    namespace: string,
    name: string,
    change: (all: readonly ManagedFields[]) => Promise<ManagedFields[] | undefined>,
  ): Promise<void> {
    const action = `change the managed fields of deployment ${namespace}/${name}`;
    const changeOnce = async () => {
      const found = await this.#readDeployment(namespace, name);
      const value = found && (await change(managedFieldsOf(asJson(found.metadata?.managedFields))));
      if (!value) return;
      const version = found.metadata?.resourceVersion;
      const body = [
        // The server refuses this with 409 if somebody changed the object meanwhile.
        { op: "replace", path: "/metadata/resourceVersion", value: version },
        { op: "replace", path: "/metadata/managedFields", value },
      ];
      await this.#call(action, () =>
        this.#apps.patchNamespacedDeployment({ namespace, name, body }),
      );
    };
    await pRetry(changeOnce, {
      retries: RETRIES,
      minTimeout: 0,
      shouldRetry: ({ error }) => error instanceof InfraError && error.status === 409,
    });
  }

  /** An object of any kind, or undefined if there is none. */
  async find({ apiVersion, kind, namespace, name }: ObjectName) {
    return unless404(
      this.#call(`get ${kind} ${name}`, () =>
        this.#objects.read<k8s.KubernetesObject>({
          apiVersion,
          kind,
          metadata: { name, ...(namespace !== undefined && { namespace }) },
        }),
      ),
    );
  }

  /** The other managers of an object's fields for which `isChanged` is true. Empty if there is none. */
  async managersOf(object: ObjectName, isChanged: (path: string) => boolean): Promise<Manager[]> {
    const found = await this.find(object);
    const records = managedFieldsOf(asJson(found?.metadata?.managedFields));
    return foreignFields(records, isChanged).map(({ entry: { manager, time } }) => ({
      manager,
      ...(time !== undefined && { at: new Date(time).toISOString() }),
    }));
  }

  /** The other managers of a Deployment's fields that the program decides. */
  managersOfDeployment(namespace: string, name: string, container: string): Promise<Manager[]> {
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", namespace, name };
    return this.managersOf(deployment, claims(container, false));
  }

  /** The actions of a policy's binding, which has its name. Undefined if there is none. */
  async actionsOf(policy: string): Promise<PolicyActions | undefined> {
    const found = await this.find({ apiVersion: POLICIES, kind: BINDING, name: policy });
    return binding.safeParse(found).data?.spec.validationActions;
  }

  /** Those of these kinds, such as `monitoring.coreos.com/v1/ServiceMonitor`, that the cluster has. */
  async served(kinds: readonly string[]): Promise<string[]> {
    const found = await Promise.all(
      kinds.map(async (each) => {
        const [, api = "", kind = ""] = /^(.*)\/([^/]+)$/.exec(each) ?? [];
        const answer = await unless404(this.ask(`/apis/${api}`));
        const { resources } = apiResources.parse(JSON.parse(answer?.text ?? "{}"));
        return resources.some((resource) => resource.kind === kind) ? [each] : [];
      }),
    );
    return found.flat();
  }

  /** The objects of a kind in a namespace. */
  async list(apiVersion: string, kind: string, namespace: string): Promise<k8s.KubernetesObject[]> {
    const found = await this.#call(`list ${kind} in ${namespace}`, () =>
      this.#objects.list<k8s.KubernetesObject>(apiVersion, kind, namespace),
    );
    return found.items;
  }

  /** Creates an object. `fieldManager` is the name in its managed fields. */
  async create(object: k8s.KubernetesObject, fieldManager: string): Promise<void> {
    const { kind, metadata: { namespace, name } = {} } = object;
    await this.#call(
      `create ${kind} ${namespace}/${name}`,
      () => this.#objects.create(object, undefined, undefined, fieldManager),
      { isIdempotent: false },
    );
  }

  /** Merges into an object; null removes a field. Returns false if there is no such object. */
  async merge(object: ObjectName, change: ObjectChange): Promise<boolean> {
    return this.#merge("patch", object, change);
  }

  async #merge(
    action: string,
    { apiVersion, kind, namespace = "", name }: ObjectName,
    { metadata, ...change }: ObjectChange,
  ): Promise<boolean> {
    const changed = await unless404(
      this.#call(`${action} ${kind} ${namespace}/${name}`, () =>
        this.#objects.patch(
          { ...change, apiVersion, kind, metadata: { ...metadata, name, namespace } },
          undefined, // pretty
          undefined, // dryRun
          MANAGED_BY,
          undefined, // force
          this.#mergePatch,
        ),
      ),
    );
    return changed !== undefined;
  }

  /**
   * Starts the deletion of an object. Its dependents go first, or stay without an owner. Succeeds if
   * the object is gone.
   */
  async delete(
    { apiVersion, kind, namespace = "", name }: ObjectName,
    dependents: "Foreground" | "Orphan" = "Foreground",
  ): Promise<void> {
    await unless404(
      this.#call(`delete ${kind} ${namespace}/${name}`, () =>
        this.#objects.delete(
          { apiVersion, kind, metadata: { name, namespace } },
          undefined, // pretty
          undefined, // dryRun
          undefined, // gracePeriodSeconds
          undefined, // orphanDependents
          dependents,
        ),
      ),
    );
  }

  /** Replaces an object's finalizers. Without them it is deleted before their work is done. */
  async setFinalizers(object: ObjectName, finalizers: readonly string[]): Promise<void> {
    await this.#merge("set finalizers of", object, { metadata: { finalizers } });
  }

  /** The answer to a request that the methods above do not make. Throws for a status outside 2xx. */
  async ask(path: string, body?: object): Promise<{ readonly text: string; readonly date: Date }> {
    const method = (body ? "POST" : "GET") as k8s.HttpMethod;
    return this.#call(`${method} ${path}`, async () => {
      const request = this.#requestTo(path, method);
      request.setHeaderParam("accept", "application/json");
      if (body) {
        request.setHeaderParam("content-type", "application/json");
        request.setBody(JSON.stringify(body));
      }
      const { httpStatusCode: status, headers, body: answer } = await this.#send(request);
      const text = await answer.text();
      if (status < 200 || status > 299) throw new this.#refusal(status, "", text, headers);
      return { text, date: new Date(headers["date"] ?? Number.NaN) };
    });
  }

  /** The retry loop is our own because p-retry cannot wait for what a Retry-After header asks. */
  async #call<T>(
    action: string,
    work: () => Promise<T>,
    { isIdempotent = true }: { isIdempotent?: boolean } = {},
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        const wait = tries > RETRIES ? undefined : waitBeforeRetry(error, isIdempotent, tries);
        if (wait === undefined) {
          throw kubernetesError(error, action, { server: this.#server, secrets: this.#secrets });
        }
        await sleep(wait);
      }
    }
  }
}

/** Undoes the library's conversion of times to dates. */
function asJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function live({ metadata, status }: k8s.V1Namespace): LiveNamespace {
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
