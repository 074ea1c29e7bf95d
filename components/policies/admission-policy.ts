import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { markLabels } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";

export type PolicySpec = k8s.types.input.admissionregistration.v1.ValidatingAdmissionPolicySpec;
type BindingSpec = k8s.types.input.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec;
type ResourceRule = k8s.types.input.admissionregistration.v1.NamedRuleWithOperations;

export interface AdmissionPolicyArgs {
  readonly owner: pulumi.Input<Owner>;
  /** The name in the cluster, of both the policy and its binding. */
  readonly policy: string;
  readonly spec: pulumi.Input<PolicySpec>;
  readonly binding: Omit<BindingSpec, "policyName">;
}

/** Makes a ValidatingAdmissionPolicy and its binding. */
export function admissionPolicy(
  name: string,
  { owner, policy, spec, binding }: AdmissionPolicyArgs,
  options: pulumi.CustomResourceOptions,
): void {
  const metadata = { name: policy, labels: pulumi.output(owner).apply(markLabels) };
  const made = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
    name,
    { metadata, spec },
    options,
  );
  new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
    name,
    { metadata, spec: { policyName: made.metadata.name, ...binding } },
    options,
  );
}

/** A rule of `matchConstraints`, for resources of version v1. */
export function resourceRule(
  apiGroup: string,
  resources: string[],
  operations: ("CREATE" | "UPDATE")[] = ["CREATE", "UPDATE"],
): ResourceRule {
  return { apiGroups: [apiGroup], apiVersions: ["v1"], operations, resources };
}

/** The workloads outside the core API group. Each has a template for its pods. */
export const WORKLOAD_RULES = [
  resourceRule("apps", ["deployments", "statefulsets", "daemonsets", "replicasets"]),
  resourceRule("batch", ["jobs", "cronjobs"]),
];
