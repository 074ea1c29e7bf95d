import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { environmentBinding, ownershipLabels } from "../core/labels.ts";
import { type DataService, type Egress, egressRules } from "../core/egress.ts";
import { amount } from "../core/quantity.ts";
import type { Owner } from "../core/ownership.ts";
import type { Sizes } from "../core/sizes.ts";
import { Namespace } from "../providers/kubernetes/namespace.ts";

export interface ProjectNamespaceArgs {
  /** The project's slug: the namespace's name. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  readonly sizes: Sizes;
  /** The namespace of the ingress controller. */
  readonly ingressNamespace: string;
  readonly egress: Egress;
  /** The servers whose addresses the project's pods get. */
  readonly dataServices: readonly pulumi.Input<DataService>[];
  /** The project's environment in Citadel. Undefined without Citadel. */
  readonly environment?: pulumi.Input<string>;
}

/**
 * The project's namespace with its limits: Pod Security `restricted`, a quota, limits for containers,
 * and a NetworkPolicy. The NetworkPolicy permits connections from the ingress and from the project's
 * own pods, and to the addresses that the platform does not close. A label binds the pods to the
 * project's environment (see EnvironmentPolicy). Delete deletes the namespace with everything in it.
 */
export class ProjectNamespace extends pulumi.ComponentResource {
  readonly namespace: Namespace;
  /** Options for objects in the namespace: created after it, and deleted by Kubernetes with it. */
  readonly inside: pulumi.CustomResourceOptions;

  constructor(name: string, args: ProjectNamespaceArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ProjectNamespace", name, {}, options);
    const { slug, sizes } = args;

    this.namespace = new Namespace(
      name,
      {
        name: slug,
        owner: args.owner,
        labels: pulumi.output(args.environment).apply((id) => ({
          ...environmentBinding(id),
          "pod-security.kubernetes.io/enforce": "restricted",
          "pod-security.kubernetes.io/warn": "restricted",
        })),
      },
      { parent: this },
    );
    this.inside = { dependsOn: this.namespace, deletedWith: this.namespace };

    const child = { parent: this, ...this.inside };
    const metadata = (object: string) => ({
      name: object,
      namespace: slug,
      labels: ownershipLabels(slug),
    });
    const limits = new k8s.core.v1.LimitRange(
      `${name}-limits`,
      { metadata: metadata("project"), spec: { limits: [containerLimits(sizes)] } },
      child,
    );
    new k8s.core.v1.ResourceQuota(
      `${name}-quota`,
      {
        metadata: metadata("project"),
        spec: { hard: quota(sizes) },
      },
      // After the LimitRange, which adds the limits without which the quota refuses a container.
      { ...child, dependsOn: [this.namespace, limits] },
    );
    new k8s.networking.v1.NetworkPolicy(
      `${name}-network`,
      {
        metadata: metadata("project"),
        spec: {
          podSelector: {},
          policyTypes: ["Ingress", "Egress"],
          egress: pulumi
            .all([...args.dataServices])
            .apply((services) => egressRules(args.egress, services)),
          ingress: [
            {
              from: [
                { podSelector: {} },
                {
                  namespaceSelector: {
                    matchLabels: { "kubernetes.io/metadata.name": args.ingressNamespace },
                  },
                },
              ],
            },
          ],
        },
      },
      child,
    );

    this.registerOutputs({ namespace: this.namespace.id });
  }
}

/** The minimum for each container, because Kubernetes takes a limit of 0 for no limit. */
const SMALLEST = { cpu: "1m", memory: "1Mi", "ephemeral-storage": "1Mi" } as const;

function containerLimits(sizes: Sizes): k8s.types.input.core.v1.LimitRangeItem {
  return {
    type: "Container",
    default: {
      cpu: sizes.cpuLimit,
      memory: sizes.memoryLimit,
      "ephemeral-storage": sizes.ephemeralStorageLimit,
    },
    // Without a default, a container's request would be its limit.
    defaultRequest: {
      cpu: sizes.cpuRequest,
      memory: sizes.memoryRequest,
      "ephemeral-storage": SMALLEST["ephemeral-storage"],
    },
    // The minimum also applies to requests, so it must not exceed those of the platform or project.
    min: {
      ...smallest("cpu", sizes.cpuRequest),
      ...smallest("memory", sizes.memoryRequest),
      "ephemeral-storage": SMALLEST["ephemeral-storage"],
    },
    max: {
      cpu: larger(sizes.cpuLimit, sizes.cpuQuota),
      memory: larger(sizes.memoryLimit, sizes.memoryQuota),
    },
  };
}

/** Without a request there is no minimum. */
function smallest(resource: "cpu" | "memory", request: string): Record<string, string> {
  if (amount(request) === 0) return {};
  const floor = SMALLEST[resource];
  return { [resource]: amount(request) < amount(floor) ? request : floor };
}

function larger(one: string, other: string): string {
  return amount(one) > amount(other) ? one : other;
}

function quota(sizes: Sizes): Record<string, string> {
  return {
    "limits.cpu": sizes.cpuQuota,
    "limits.memory": sizes.memoryQuota,
    "limits.ephemeral-storage": sizes.ephemeralStorageQuota,
    pods: String(sizes.podQuota),
    persistentvolumeclaims: String(sizes.volumeQuota),
    "requests.storage": sizes.storageQuota,
    // Services of these types would bypass the ingress.
    "services.loadbalancers": "0",
    "services.nodeports": "0",
  };
}
