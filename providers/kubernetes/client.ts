import { setTimeout as sleep } from "node:timers/promises";
import type { AppsV1Api, CoreV1Api, KubeConfig, V1Namespace } from "@kubernetes/client-node";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import { connectionCode, kubernetesError, refusal } from "./errors.ts";

/** For one request, in ms. */
const REQUEST_DEADLINE = 30_000;
/** For a namespace with all that is in it to go, in ms: pods may take their time to stop. */
const GONE_DEADLINE = 5 * 60_000;
const POLL = 250;
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

/** The Kubernetes API, as far as it is used here, as the kubeconfig's user. */
export class Kubernetes {
  readonly #api: CoreV1Api;
  readonly #apps: AppsV1Api;
  readonly #serverSideApply: Parameters<CoreV1Api["patchNamespace"]>[1];
  readonly #server: string;
  readonly #secrets: readonly string[];

  private constructor(
    api: CoreV1Api,
    apps: AppsV1Api,
    serverSideApply: Parameters<CoreV1Api["patchNamespace"]>[1],
    config: KubeConfig,
  ) {
    this.#api = api;
    this.#apps = apps;
    this.#serverSideApply = serverSideApply;
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
      new library.CoreV1Api(configuration),
      new library.AppsV1Api(configuration),
      library.setHeaderOptions("Content-Type", library.PatchStrategy.ServerSideApply),
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

  /** With everything in it; returns when it is gone. Errors: RDEV_DEADLINE naming what remains. */
  async deleteNamespace(name: string): Promise<void> {
    const found = await this.namespace(name);
    if (!found) return;
    if (!found.isTerminating) {
      await this.#unless404(() =>
        this.#call(`delete namespace ${name}`, () =>
          this.#api.deleteNamespace({
            name,
            // What is in a namespace always goes before it: no propagation policy is needed.
            body: { preconditions: { uid: found.uid } },
          }),
        ),
      );
    }
    await this.untilGone(name, found.uid);
  }

  /** Waits until the namespace with this uid is gone. */
  async untilGone(name: string, uid: string): Promise<void> {
    const end = Date.now() + GONE_DEADLINE;
    for (;;) {
      const found = await this.namespace(name);
      if (found?.uid !== uid) return;
      if (Date.now() > end) {
        throw new InfraError(
          "RDEV_DEADLINE",
          `The namespace ${name} is not gone after ${GONE_DEADLINE / 1000} s. ${found.remains}`,
        );
      }
      await sleep(POLL);
    }
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
