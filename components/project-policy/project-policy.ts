import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ENVIRONMENT_LABEL, markLabels, PROJECT_LABEL } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import { CONTAINER } from "../deployment.ts";
import { deployRule } from "./deploy-rule.ts";
import { placementRule } from "./placement-rule.ts";

/** The names of a platform's policies about its projects. Cluster-scoped, so they name the platform. */
export function projectPolicyNames(platform: string) {
  return { deploy: `deploy.${platform}.rdev.io`, placement: `placement.${platform}.rdev.io` };
}

export interface ProjectPolicyArgs {
  readonly platform: string;
  readonly owner: pulumi.Input<Owner>;
}

/**
 * What RBAC and quotas cannot say about the namespaces of projects, in the API server itself: what a
 * pipeline may change, and where pods may run. Two ValidatingAdmissionPolicies with their bindings,
 * for those namespaces only. Delete deletes all four; nothing is checked any more.
 */
export class ProjectPolicy extends pulumi.ComponentResource {
  constructor(name: string, args: ProjectPolicyArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ProjectPolicy", name, {}, options);
    const labels = pulumi.output(args.owner).apply(markLabels);
    const names = projectPolicyNames(args.platform);
    const rules = {
      deploy: { policy: names.deploy, spec: deployRule(CONTAINER) },
      placement: { policy: names.placement, spec: placementRule() },
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
        {
          metadata,
          spec: {
            policyName: made.metadata.name,
            validationActions: ["Deny"],
            matchResources: {
              namespaceSelector: {
                // The agent's namespace has the mark too, but is bound to no environment.
                matchExpressions: [PROJECT_LABEL, ENVIRONMENT_LABEL].map((key) => ({
                  key,
                  operator: "Exists",
                })),
              },
            },
          },
        },
        { parent: this },
      );
    }

    this.registerOutputs({});
  }
}
