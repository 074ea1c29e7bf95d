import * as pulumi from "@pulumi/pulumi";
import { ENVIRONMENT_LABEL, PROJECT_LABEL } from "../../core/labels.ts";
import type { Owner } from "../../core/ownership.ts";
import {
  admissionPolicy,
  type PolicySpec,
  resourceRule,
  WORKLOAD_RULES,
} from "./admission-policy.ts";

/** Cluster-scoped and valid for every namespace. ClusterClaim gives them to one platform per cluster. */
export const POD_POLICY = "pod-environment.rdev.io";
export const NAMESPACE_POLICY = "namespace-environment.rdev.io";

export interface EnvironmentPolicyArgs {
  readonly owner: pulumi.Input<Owner>;
  /** The platform's own environment. */
  readonly environment: pulumi.Input<string>;
  /** The policies' actions. Without Deny they only report what they would refuse. */
  readonly actions: pulumi.Input<string[]>;
}

/**
 * Keeps tenants apart in the API server: a namespace decides which environment its pods may name.
 * Without it, anyone who can label a pod could write into every tenant, because the log agent trusts
 * the label. Makes two ValidatingAdmissionPolicies with their bindings: one for pods and workloads,
 * one for the label of the namespaces. Delete deletes all four, and then nothing is checked.
 */
export class EnvironmentPolicy extends pulumi.ComponentResource {
  constructor(
    name: string,
    args: EnvironmentPolicyArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("rdev:components:EnvironmentPolicy", name, {}, options);
    const binding = { validationActions: args.actions };
    const podSpec = pulumi.output(args.environment).apply(podRule);
    const namespaceSpec = namespaceRule(POD_POLICY);

    admissionPolicy(
      `${name}-pods`,
      { owner: args.owner, policy: POD_POLICY, spec: podSpec, binding },
      { parent: this },
    );
    admissionPolicy(
      `${name}-namespaces`,
      { owner: args.owner, policy: NAMESPACE_POLICY, spec: namespaceSpec, binding },
      { parent: this },
    );

    this.registerOutputs({});
  }
}

/**
 * Lets only those who may update the policy for pods change a namespace's environment or its project
 * label: they could disable the checks anyway. Permission to make or label namespaces is not enough.
 */
function namespaceRule(podPolicy: string): PolicySpec {
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      // A request to any of these can set labels.
      resourceRules: [resourceRule("", ["namespaces", "namespaces/status", "namespaces/finalize"])],
    },
    validations: [ENVIRONMENT_LABEL, PROJECT_LABEL].map((label) => ({
      expression:
        `object.metadata.?labels[?'${label}'] == ` +
        `(oldObject == null ? optional.none() : oldObject.metadata.?labels[?'${label}']) || ` +
        "authorizer.group('admissionregistration.k8s.io').resource('validatingadmissionpolicies')" +
        `.name('${podPolicy}').check('update').allowed()`,
      messageExpression:
        `'The label ${label} of the namespace ' + object.metadata.name + ' says where the logs of ' + ` +
        "'its pods go. Only who may update the ValidatingAdmissionPolicy " +
        `${podPolicy} may change it, instead got "' + ` +
        `object.metadata.?labels[?'${label}'].orValue('') + '" from ' + request.userInfo.username + ` +
        "'. Leave the label as it is, or bring the project up with rdev-infra.'",
      reason: "Forbidden",
    })),
  };
}

/**
 * The users that Kubernetes creates the pods of workloads as: one for all controllers, or one for
 * each. An owner reference proves nothing, because anyone who creates a pod can write one.
 */
const CONTROLLERS = [
  "system:kube-controller-manager",
  ...["deployment", "replicaset", "statefulset", "daemon-set", "replication", "job", "cronjob"].map(
    (controller) => `system:serviceaccount:kube-system:${controller}-controller`,
  ),
];

const LABEL = `'${ENVIRONMENT_LABEL}'`;

/**
 * Limits the environment that a pod, or a template for pods, may name:
 * - In a namespace that is bound to an environment, only that one. If the binding is empty, none.
 * - In any other namespace, the platform's environment or none, which have the same effect.
 *
 * Two exceptions keep existing objects working:
 * - An update that does not change the label passes. Otherwise no Job could finish and no old
 *   ReplicaSet could be scaled down after a namespace's environment has changed.
 * - A project's namespace made by an older version is not bound yet. There, Kubernetes' controllers
 *   may still create the pods of its workloads.
 *
 * The expressions must not fail for any object: a failure refuses the object, in every namespace.
 */
function podRule(platformEnvironment: string): PolicySpec {
  const platform = JSON.stringify(platformEnvironment);
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [
        // Requests to a pod's status, and bindings to a node, can also set its labels.
        resourceRule("", [
          "pods",
          "pods/status",
          "pods/binding",
          "bindings",
          "replicationcontrollers",
        ]),
        ...WORKLOAD_RULES,
      ],
    },
    variables: [
      { name: "label", expression: labelIn("object") },
      { name: "before", expression: `oldObject == null ? '' : ${labelIn("oldObject")}` },
      { name: "bound", expression: `namespaceObject.metadata.?labels[?${LABEL}]` },
      {
        name: "isUntouched",
        expression:
          "request.operation == 'UPDATE' && variables.label == variables.before || " +
          `request.kind.kind == 'Binding' && !dyn(object).metadata.?labels[?${LABEL}].hasValue()`,
      },
      {
        name: "isLeftFromBefore",
        expression:
          `namespaceObject.metadata.?labels[?'${PROJECT_LABEL}'].hasValue() && ` +
          `request.userInfo.username in ${JSON.stringify(CONTROLLERS)}`,
      },
    ],
    validations: [
      {
        expression:
          "variables.isUntouched || (variables.bound.hasValue() " +
          "? variables.label == variables.bound.value() " +
          `: variables.label in ['', ${platform}] || variables.isLeftFromBefore)`,
        messageExpression:
          `'The label ${ENVIRONMENT_LABEL} says where the logs of a pod go. In the namespace ' + ` +
          "namespaceObject.metadata.name + ' it must be ' + (variables.bound.hasValue() " +
          "? (variables.bound.value() == '' ? 'left out: the namespace has no environment' : " +
          `variables.bound.value() + ', the environment of the namespace') ` +
          `: ${JSON.stringify(`left out, or ${platformEnvironment}: it is bound to no environment`)}) + ` +
          `', instead got "' + variables.label + '". Set it so on the pod, or in the template that ` +
          "the pod is made from.'",
        reason: "Forbidden",
      },
    ],
  };
}

/** The CEL expression for the environment label of an object's pods; empty without the label. */
function labelIn(object: string): string {
  // The template of a CronJob, the template of any other workload, or the pod itself.
  const pod =
    `dyn(${object}).?spec.?jobTemplate.?spec.?template` +
    `.orValue(dyn(${object}).?spec.?template.orValue(dyn(${object})))`;
  return `${pod}.?metadata.?labels[?${LABEL}].orValue('')`;
}
