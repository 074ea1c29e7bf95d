import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import type { PolicyActions } from "../core/settings.ts";
import { ClusterClaim as Claim } from "../providers/kubernetes/cluster-claim.ts";
import { AGENT_CLUSTER_ROLE } from "./citadel-agent/account.ts";
import { NAMESPACE_POLICY, POD_POLICY } from "./policies/environment-policy.ts";
import { projectPolicyNames } from "./policies/project-policy.ts";

export interface ClusterClaimArgs {
  readonly platform: string;
  readonly owner: pulumi.Input<Owner>;
  /** For a platform that collects the cluster's logs. */
  readonly logs?: {
    readonly namespace: string;
    /** What the settings say that the policies of the whole cluster do. */
    readonly actions: PolicyActions | undefined;
  };
}

/**
 * The names that a platform wants in its cluster, looked at before anything is made: another
 * platform's objects, and a stranger's, are refused. Makes nothing; delete does nothing.
 */
export class ClusterClaim extends pulumi.ComponentResource {
  /** What the policies of the whole cluster are to do. */
  readonly actions: pulumi.Output<string[]>;

  constructor(name: string, args: ClusterClaimArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ClusterClaim", name, {}, options);
    const { platform, owner, logs } = args;

    const claim = new Claim(
      name,
      {
        platform,
        owner,
        policies: [
          ...Object.values(projectPolicyNames(platform)),
          ...(logs ? [POD_POLICY, NAMESPACE_POLICY] : []),
        ],
        ...(logs && {
          namespace: logs.namespace,
          clusterRoles: [AGENT_CLUSTER_ROLE],
          leading: POD_POLICY,
          wanted: logs.actions,
        }),
      },
      { parent: this },
    );

    this.actions = claim.actions;
    this.registerOutputs({});
  }
}
