import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { environmentBinding, ownershipLabels } from "../core/labels.ts";
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
  /** The project's environment in Citadel. Without Citadel: undefined. */
  readonly environment?: pulumi.Input<string>;
}

/**
 * The project's namespace and the rules in it: Pod Security `restricted`, a quota, limits for
 * containers that name none, and a NetworkPolicy that lets in only the ingress and the project's own
 * pods. A label binds the pods in it to the project's environment (EnvironmentPolicy). Delete deletes
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
    new k8s.core.v1.ResourceQuota(
      `${name}-quota`,
      {
        metadata: metadata("project"),
        spec: { hard: { "limits.cpu": sizes.cpuQuota, "limits.memory": sizes.memoryQuota } },
      },
      child,
    );
    new k8s.core.v1.LimitRange(
      `${name}-limits`,
      {
        metadata: metadata("project"),
        spec: {
          limits: [
            {
              type: "Container",
              default: { cpu: sizes.cpuLimit, memory: sizes.memoryLimit },
              defaultRequest: { cpu: sizes.cpuRequest, memory: sizes.memoryRequest },
            },
          ],
        },
      },
      child,
    );
    new k8s.networking.v1.NetworkPolicy(
      `${name}-network`,
      {
        metadata: metadata("project"),
        spec: {
          podSelector: {},
          // Egress is left open: database, cache and DNS, and whatever a project talks to.
          policyTypes: ["Ingress"],
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
