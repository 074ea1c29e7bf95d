import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { markLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";

/** Cluster-scoped. ClusterClaim gives it to one platform per cluster. */
export const AGENT_CLUSTER_ROLE = "rdev-infra:citadel-agent";

export interface AgentAccountArgs {
  /** The owner of the cluster-scoped objects. */
  readonly owner: pulumi.Input<Owner>;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/**
 * The agent's ServiceAccount. It may only `get` pods and namespaces: the agent needs the labels of a
 * pod, and those of its namespace if the pod is gone. It may not list or watch them, nor read Secrets.
 * Delete deletes the ServiceAccount, its ClusterRole and the binding.
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
      .apply((found) => ({ ...metadata.labels, ...markLabels(found) }));
    const clusterWide = { name: AGENT_CLUSTER_ROLE, labels };

    const account = new k8s.core.v1.ServiceAccount(
      name,
      // The agent's pod mounts the token explicitly. Other pods of the namespace must not get it.
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
