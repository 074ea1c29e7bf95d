import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { markLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import { namespaceRule } from "./namespace-rule.ts";
import { podRule } from "./pod-rule.ts";

/** Cluster-scoped, and about every namespace: one platform of a cluster has them (ClusterClaim). */
export const POD_POLICY = "pod-environment.rdev.io";
export const NAMESPACE_POLICY = "namespace-environment.rdev.io";

export interface EnvironmentPolicyArgs {
  readonly owner: pulumi.Input<Owner>;
  /** The platform's own environment. */
  readonly environment: pulumi.Input<string>;
  /** What they do. Without Deny they only tell what they would refuse. */
  readonly actions: pulumi.Input<string[]>;
}

/**
 * The rule that keeps tenants apart, in the API server itself: a namespace decides which environment
 * the pods in it may name. Without it, whoever can label a pod could write into every tenant, for
 * the log agent believes the label. Two ValidatingAdmissionPolicies with their bindings: one for
 * pods and what makes pods, one for the namespaces' own label. Delete deletes all four; nothing is
 * checked any more.
 */
export class EnvironmentPolicy extends pulumi.ComponentResource {
  constructor(
    name: string,
    args: EnvironmentPolicyArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("rdev:components:EnvironmentPolicy", name, {}, options);
    const labels = pulumi.output(args.owner).apply(markLabels);
    const rules = {
      pods: { policy: POD_POLICY, spec: pulumi.output(args.environment).apply(podRule) },
      namespaces: { policy: NAMESPACE_POLICY, spec: namespaceRule(POD_POLICY) },
    };

    for (const [role, { policy, spec }] of Object.entries(rules)) {
      const metadata = { name: policy, labels };
      const made = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        `${name}-${role}`,
        { metadata, spec },
        { parent: this },
      );
      new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
        `${name}-${role}`,
        { metadata, spec: { policyName: made.metadata.name, validationActions: args.actions } },
        { parent: this },
      );
    }

    this.registerOutputs({});
  }
}
