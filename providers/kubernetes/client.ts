import type * as k8s from "@kubernetes/client-node";
import { z } from "zod";
import { MANAGED_BY } from "../../core/ownership.ts";
import { type PolicyActions, policyActions } from "../../core/settings.ts";
import { unless404 } from "../answers.ts";
import { Calls } from "./calls.ts";
import { DeploymentCalls } from "./deployment-calls.ts";
import { claims, foreignFields, managedFieldsOf } from "./managed-fields.ts";
import { NamespaceCalls } from "./namespace-calls.ts";

/** The version and kind of what puts an admission policy into force. */
export const POLICIES = "admissionregistration.k8s.io/v1";
export const BINDING = "ValidatingAdmissionPolicyBinding";

const binding = z.object({ spec: z.object({ validationActions: policyActions }) });

const apiResources = z.object({
  resources: z.array(z.object({ kind: z.string() })).default([]),
});

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
  /** For requests that the methods below do not make. */
  readonly calls: Calls;
  readonly namespaces: NamespaceCalls;
  readonly deployments: DeploymentCalls;
  readonly #objects: k8s.KubernetesObjectApi;

  private constructor(calls: Calls) {
    this.calls = calls;
    this.namespaces = new NamespaceCalls(calls);
    this.deployments = new DeploymentCalls(calls);
    this.#objects = new calls.library.KubernetesObjectApi(calls.configuration);
  }

  /** Throws RDEV_CONNECTION if the kubeconfig cannot be read or names no cluster. */
  static async connect(): Promise<Kubernetes> {
    return new Kubernetes(await Calls.connect());
  }

  /** An object of any kind, or undefined if there is none. */
  async find({ apiVersion, kind, namespace, name }: ObjectName) {
    return unless404(
      this.calls.call(`get ${kind} ${name}`, () =>
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
    const records = managedFieldsOf(found?.metadata?.managedFields);
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
        const answer = await unless404(this.calls.ask(`/apis/${api}`));
        const { resources } = apiResources.parse(JSON.parse(answer?.text ?? "{}"));
        return resources.some((resource) => resource.kind === kind) ? [each] : [];
      }),
    );
    return found.flat();
  }

  /** The objects of a kind in a namespace. */
  async list(apiVersion: string, kind: string, namespace: string): Promise<k8s.KubernetesObject[]> {
    const found = await this.calls.call(`list ${kind} in ${namespace}`, () =>
      this.#objects.list<k8s.KubernetesObject>(apiVersion, kind, namespace),
    );
    return found.items;
  }

  /** Creates an object. `fieldManager` is the name in its managed fields. */
  async create(object: k8s.KubernetesObject, fieldManager: string): Promise<void> {
    const { kind, metadata: { namespace, name } = {} } = object;
    await this.calls.call(
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
      this.calls.call(`${action} ${kind} ${namespace}/${name}`, () =>
        this.#objects.patch(
          { ...change, apiVersion, kind, metadata: { ...metadata, name, namespace } },
          undefined, // pretty
          undefined, // dryRun
          MANAGED_BY,
          undefined, // force
          this.calls.library.PatchStrategy.MergePatch,
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
      this.calls.call(`delete ${kind} ${namespace}/${name}`, () =>
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
}
