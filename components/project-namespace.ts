import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { environmentBinding, ownershipLabels } from "../core/labels.ts";
import { type DataService, type Egress, egressRules } from "../core/egress.ts";
import { amount } from "../core/units.ts";
import type { Owner } from "../core/ownership.ts";
import type { Sizes } from "../core/settings.ts";
import { Namespace } from "../providers/kubernetes/namespace.ts";

export interface ProjectNamespaceArgs {
  /** The project's slug: the namespace's name. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  readonly sizes: Sizes;
  /** The namespace of the ingress controller. */
  readonly ingressNamespace: string;
  readonly egress: Egress;
  /** What the project's pods are given the addresses of. */
  readonly dataServices: readonly pulumi.Input<DataService>[];
  /** The project's environment in Citadel. Without Citadel: undefined. */
  readonly environment?: pulumi.Input<string>;
}

/**
 * The project's namespace and the rules in it: Pod Security `restricted`, a quota, limits for
 * containers, and a NetworkPolicy that lets in only the ingress and the project's own pods, and lets
 * out only to what the platform does not close. A label binds the pods in it to the project's environment (EnvironmentPolicy). Delete deletes
 * the namespace with everything in it.
 */
export class ProjectNamespace extends pulumi.ComponentResource {
  readonly namespace: Namespace;
  /** For what lives in the namespace: made after it, and deleted by Kubernetes together with it. */
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
      // A quota for a resource refuses containers without a limit, which the LimitRange gives them.
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

/** The least that a container may ask for: a limit of 0 means none to Kubernetes. */
const SMALLEST = { cpu: "1m", memory: "1Mi", "ephemeral-storage": "1Mi" } as const;

function containerLimits(sizes: Sizes): k8s.types.input.core.v1.LimitRangeItem {
  return {
    type: "Container",
    default: {
      cpu: sizes.cpuLimit,
      memory: sizes.memoryLimit,
      "ephemeral-storage": sizes.ephemeralStorageLimit,
    },
    // Without a request of its own a container would ask for its limit.
    defaultRequest: {
      cpu: sizes.cpuRequest,
      memory: sizes.memoryRequest,
      "ephemeral-storage": SMALLEST["ephemeral-storage"],
    },
    // The minimum holds for requests too, so it is not above what the platform or project asks for.
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

/** None where nothing is reserved. */
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
    // What opens a port of the nodes, or an address of its own, passes the ingress.
    "services.loadbalancers": "0",
    "services.nodeports": "0",
  };
}
