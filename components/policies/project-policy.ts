import * as pulumi from "@pulumi/pulumi";
import { CONTAINER, ENVIRONMENT_LABEL, PROJECT_LABEL } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import { admissionPolicy } from "./admission-policy.ts";
import { deployRule } from "./deploy-rule.ts";
import { placementRule } from "./placement-rule.ts";

/** The names of a platform's policies for its projects. They are cluster-scoped, so they name it. */
export function projectPolicyNames(platform: string) {
  return { deploy: `deploy.${platform}.rdev.io`, placement: `placement.${platform}.rdev.io` };
}

export interface ProjectPolicyArgs {
  readonly platform: string;
  readonly owner: pulumi.Input<Owner>;
}

/**
 * Limits what RBAC and quotas cannot limit in the namespaces of projects: what a pipeline may change,
 * and where pods may run. Makes two ValidatingAdmissionPolicies with their bindings, for these
 * namespaces only. Delete deletes all four, and then nothing is checked.
 */
export class ProjectPolicy extends pulumi.ComponentResource {
  constructor(name: string, args: ProjectPolicyArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ProjectPolicy", name, {}, options);
    const { owner, platform } = args;
    const { deploy, placement } = projectPolicyNames(platform);
    const binding = {
      validationActions: ["Deny"],
      matchResources: {
        namespaceSelector: {
          // The agent's namespace has the project label too, but no environment label.
          matchExpressions: [PROJECT_LABEL, ENVIRONMENT_LABEL].map((key) => ({
            key,
            operator: "Exists",
          })),
        },
      },
    };

    admissionPolicy(
      `${name}-deploy`,
      { owner, policy: deploy, spec: deployRule(CONTAINER), binding },
      { parent: this },
    );
    admissionPolicy(
      `${name}-placement`,
      { owner, policy: placement, spec: placementRule(), binding },
      { parent: this },
    );

    this.registerOutputs({});
  }
}
