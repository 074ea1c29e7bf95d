import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import type { PolicyActions } from "../core/settings.ts";
import { ClusterClaim as Claim } from "../providers/kubernetes/cluster-claim.ts";
import { AGENT_CLUSTER_ROLE } from "./citadel-agent/account.ts";
import { serviceClusterRoles } from "./control-plane/account.ts";
import { PROMETHEUS_RULE, SERVICE_MONITOR } from "./control-plane/monitoring.ts";
import { NAMESPACE_POLICY, POD_POLICY } from "./policies/environment-policy.ts";
import { projectPolicyNames } from "./policies/project-policy.ts";

export interface ClusterClaimArgs {
  readonly platform: string;
  readonly owner: pulumi.Input<Owner>;
  /** Set for the platform that collects the cluster's logs. */
  readonly logs?:
    | {
        readonly namespace: string;
        /** The setting for the actions of the policies for the whole cluster. */
        readonly actions: PolicyActions | undefined;
      }
    | undefined;
  /** The namespace of the service, if the platform's stack installs it. */
  readonly serviceNamespace?: string | undefined;
}

/**
 * Checks the cluster-scoped names of a platform before anything is made. It fails if an object with
 * one of these names belongs to another platform or was not made by rdev-infra. Makes nothing; delete
 * does nothing.
 */
export class ClusterClaim extends pulumi.ComponentResource {
  /** The actions for the policies for the whole cluster. */
  readonly actions: pulumi.Output<string[]>;
  /** The kinds of the Prometheus Operator that the cluster has, if the platform has a service. */
  readonly monitoring: pulumi.Output<readonly string[]>;

  constructor(name: string, args: ClusterClaimArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ClusterClaim", name, {}, options);
    const { platform, owner, logs, serviceNamespace } = args;

    const claim = new Claim(
      name,
      { platform, owner, ...clusterNames({ platform, logs, serviceNamespace }) },
      { parent: this },
    );

    this.actions = claim.actions;
    this.monitoring = claim.served.apply((kinds) => kinds ?? []);
    this.registerOutputs({});
  }
}

type Claimed = Pick<ClusterClaimArgs, "platform" | "logs" | "serviceNamespace">;

/** The names in the cluster that a platform needs for itself. */
export function clusterNames({ platform, logs, serviceNamespace }: Claimed) {
  const hasService = serviceNamespace !== undefined;
  const clusterRoles = [
    ...(logs ? [AGENT_CLUSTER_ROLE] : []),
    ...(hasService ? serviceClusterRoles(platform).map(({ name }) => name) : []),
  ];
  return {
    policies: [
      ...Object.values(projectPolicyNames(platform)),
      ...(logs ? [POD_POLICY, NAMESPACE_POLICY] : []),
    ],
    ...(clusterRoles.length > 0 && { clusterRoles }),
    ...(logs && { namespace: logs.namespace, leading: POD_POLICY, wanted: logs.actions }),
    ...(hasService && {
      namespaces: [serviceNamespace],
      kinds: [SERVICE_MONITOR, PROMETHEUS_RULE],
    }),
  };
}
