import type * as k8s from "@pulumi/kubernetes";
import { ENVIRONMENT_LABEL, PROJECT_LABEL } from "../../core/labels.ts";

type Policy = k8s.types.input.admissionregistration.v1.ValidatingAdmissionPolicySpec;

/**
 * As whom Kubernetes makes the pods of workloads: with credentials of each controller's own, or of all
 * together. An owner reference proves nothing: whoever makes a pod can write one.
 */
const CONTROLLERS = [
  "system:kube-controller-manager",
  ...["deployment", "replicaset", "statefulset", "daemon-set", "replication", "job", "cronjob"].map(
    (controller) => `system:serviceaccount:kube-system:${controller}-controller`,
  ),
];

const LABEL = `'${ENVIRONMENT_LABEL}'`;

/**
 * What a pod, or a template of pods, may name as its environment:
 * - in a namespace that is bound to one, exactly that; bound to none (an empty label), none;
 * - in every other namespace the platform's or none, which comes to the same.
 *
 * What is there already is never in the way: an update that leaves the label as it is passes, or no
 * Job could end and no old ReplicaSet be scaled down once a namespace's environment has changed. And
 * in a project's namespace that an older version made, unbound as yet, Kubernetes' own controllers
 * may still make the pods that a workload asks for.
 *
 * The expressions must not fail for any object: a failure refuses it, in every namespace.
 */
export function podRule(platformEnvironment: string): Policy {
  const platform = JSON.stringify(platformEnvironment);
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [
        {
          apiGroups: [""],
          apiVersions: ["v1"],
          operations: ["CREATE", "UPDATE"],
          // A pod's labels can also be set through its status and by what binds it to a node.
          resources: ["pods", "pods/status", "pods/binding", "bindings", "replicationcontrollers"],
        },
        {
          apiGroups: ["apps"],
          apiVersions: ["v1"],
          operations: ["CREATE", "UPDATE"],
          resources: ["deployments", "statefulsets", "daemonsets", "replicasets"],
        },
        {
          apiGroups: ["batch"],
          apiVersions: ["v1"],
          operations: ["CREATE", "UPDATE"],
          resources: ["jobs", "cronjobs"],
        },
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

/** The environment that an object's pods name; empty where they name none. */
function labelIn(object: string): string {
  // Of a CronJob, of every other workload, of a pod itself.
  const pod =
    `dyn(${object}).?spec.?jobTemplate.?spec.?template` +
    `.orValue(dyn(${object}).?spec.?template.orValue(dyn(${object})))`;
  return `${pod}.?metadata.?labels[?${LABEL}].orValue('')`;
}
