import type * as k8s from "@kubernetes/client-node";
import pRetry from "p-retry";
import { InfraError } from "../../core/errors.ts";
import { unless404 } from "../answers.ts";
import { type Calls, RETRIES } from "./calls.ts";
import { managedFieldsOf, type ManagedFields } from "./managed-fields.ts";
import { isRolledOut, problemOf } from "./rollout.ts";

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

/** The calls about Deployments and what belongs to them. */
export class DeploymentCalls {
  readonly #calls: Calls;
  readonly #core: k8s.CoreV1Api;
  readonly #apps: k8s.AppsV1Api;
  readonly #autoscaling: k8s.AutoscalingV2Api;

  constructor(calls: Calls) {
    this.#calls = calls;
    const { CoreV1Api, AppsV1Api, AutoscalingV2Api } = calls.library;
    this.#core = new CoreV1Api(calls.configuration);
    this.#apps = new AppsV1Api(calls.configuration);
    this.#autoscaling = new AutoscalingV2Api(calls.configuration);
  }

  /** Undefined if there is none. */
  async read(namespace: string, name: string): Promise<LiveDeployment | undefined> {
    const found = await this.#read(namespace, name);
    return (
      found && {
        annotations: found.metadata?.annotations ?? {},
        generation: found.metadata?.generation ?? 0,
        replicas: found.spec?.replicas ?? 1,
        managedFields: managedFieldsOf(found.metadata?.managedFields),
      }
    );
  }

  /** The image of a container in a Deployment, or undefined if there is none. */
  async image(
    namespace: string,
    deployment: string,
    container: string,
  ): Promise<LiveImage | undefined> {
    const found = await this.#read(namespace, deployment);
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
    const found = await this.#read(namespace, deployment);
    return found && isRolledOut(found);
  }

  /** Whether a HorizontalPodAutoscaler decides a Deployment's replicas. */
  async isAutoscaled(namespace: string, deployment: string): Promise<boolean> {
    const { items } = await this.#calls.call(`list autoscalers in ${namespace}`, () =>
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
      const found = await this.#read(namespace, name);
      const value = found && (await change(managedFieldsOf(found.metadata?.managedFields)));
      if (!value) return;
      const version = found.metadata?.resourceVersion;
      const body = [
        // The server refuses this with 409 if somebody changed the object meanwhile.
        { op: "replace", path: "/metadata/resourceVersion", value: version },
        { op: "replace", path: "/metadata/managedFields", value },
      ];
      await this.#calls.call(action, () =>
        this.#apps.patchNamespacedDeployment({ namespace, name, body }),
      );
    };
    await pRetry(changeOnce, {
      retries: RETRIES,
      minTimeout: 0,
      shouldRetry: ({ error }) => error instanceof InfraError && error.status === 409,
    });
  }

  #read(namespace: string, name: string) {
    return unless404(
      this.#calls.call(`get deployment ${namespace}/${name}`, () =>
        this.#apps.readNamespacedDeployment({ namespace, name }),
      ),
    );
  }

  /** Empty without the right to list pods: the Deployment itself says less, but enough. */
  async #podsOf(namespace: string, { spec }: k8s.V1Deployment): Promise<readonly k8s.V1Pod[]> {
    const labels = Object.entries(spec?.selector.matchLabels ?? {});
    const labelSelector = labels.map(([key, value]) => `${key}=${value}`).join(",");
    try {
      const { items } = await this.#calls.call(`list pods in ${namespace}`, () =>
        this.#core.listNamespacedPod({ namespace, labelSelector }),
      );
      return items;
    } catch (error) {
      if (error instanceof InfraError && error.code === "RDEV_FORBIDDEN") return [];
      throw error;
    }
  }
}
