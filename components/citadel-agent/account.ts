import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { markLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";

/** Cluster-scoped: one platform of a cluster has it (ClusterClaim). */
export const AGENT_CLUSTER_ROLE = "rdev-infra:citadel-agent";

export interface AgentAccountArgs {
  /** The owner of the cluster-wide objects. */
  readonly owner: pulumi.Input<Owner>;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/**
 * As whom the agent asks for a pod's labels, and for its namespace's, which speak for a pod that is
 * gone: a ServiceAccount that may `get` pods and namespaces, no more: neither
 * list nor watch them, nor read a Secret. Delete deletes it, its ClusterRole and the binding.
 */
export class AgentAccount extends pulumi.ComponentResource {
  readonly name: pulumi.Output<string>;

  constructor(
    name: string,
    { metadata, owner }: AgentAccountArgs,
    options: pulumi.ResourceOptions,
  ) {
    super("rdev:components:AgentAccount", name, {}, { parent: options.parent });
    const { dependsOn, deletedWith } = options;
    const labels = pulumi
      .output(owner)
      .apply((whose) => ({ ...metadata.labels, ...markLabels(whose) }));
    const clusterWide = { name: AGENT_CLUSTER_ROLE, labels };

    const account = new k8s.core.v1.ServiceAccount(
      name,
      // Only the agent's pod asks for a token; another pod in its namespace gets none by chance.
      { metadata, automountServiceAccountToken: false },
      { parent: this, dependsOn, deletedWith },
    );
    const role = new k8s.rbac.v1.ClusterRole(
      name,
      {
        metadata: clusterWide,
        rules: [{ apiGroups: [""], resources: ["pods", "namespaces"], verbs: ["get"] }],
      },
      { parent: this },
    );
    new k8s.rbac.v1.ClusterRoleBinding(
      name,
      {
        metadata: clusterWide,
        roleRef: {
          apiGroup: "rbac.authorization.k8s.io",
          kind: "ClusterRole",
          name: role.metadata.name,
        },
        subjects: [
          {
            kind: "ServiceAccount",
            name: account.metadata.name,
            namespace: metadata.namespace,
          },
        ],
      },
      { parent: this },
    );

    this.name = account.metadata.name;
    this.registerOutputs({});
  }
}
