import type * as k8s from "@pulumi/kubernetes";

type Policy = k8s.types.input.admissionregistration.v1.ValidatingAdmissionPolicySpec;

/** Priority classes of Kubernetes' own parts, which may push every other pod off a node. */
const SYSTEM_CLASSES = "system-";

/**
 * Where the pods of projects run is the cluster's scheduler's to say, and they stand behind nobody:
 * no node by name, which passes the scheduler and every taint; no other scheduler; no priority class.
 *
 * A pod itself may have a class that is not the system's: the API server puts the cluster's default
 * class on a pod, after the templates here were checked. An update that leaves these fields as they
 * are passes, so that what an older version admitted can still be scaled down and deleted.
 */
export function placementRule(): Policy {
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [
        {
          apiGroups: [""],
          apiVersions: ["v1"],
          // A pod that exists gets its node by a binding, from the scheduler.
          operations: ["CREATE"],
          resources: ["pods"],
        },
        {
          apiGroups: [""],
          apiVersions: ["v1"],
          operations: ["CREATE", "UPDATE"],
          resources: ["replicationcontrollers"],
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
      { name: "pod", expression: podIn("object") },
      { name: "before", expression: `oldObject == null ? {} : ${podIn("oldObject")}` },
      {
        name: "node",
        expression: unlessUnchanged("nodeName", "variables.pod.?nodeName.orValue('')"),
      },
      {
        name: "scheduler",
        expression: unlessUnchanged(
          "schedulerName",
          "variables.pod.?schedulerName.orValue('').replace('default-scheduler', '')",
        ),
      },
      {
        name: "priority",
        expression: unlessUnchanged(
          "priorityClassName",
          "request.kind.kind == 'Pod' && " +
            `!variables.pod.?priorityClassName.orValue('').startsWith('${SYSTEM_CLASSES}') ` +
            "? '' : variables.pod.?priorityClassName.orValue('')",
        ),
      },
    ],
    validations: (
      [
        ["node", "nodeName", "the scheduler chooses the node"],
        ["scheduler", "schedulerName", "the cluster's own scheduler places the pods of projects"],
        ["priority", "priorityClassName", "no project goes before another"],
      ] as const
    ).map(([variable, field, why]) => ({
      expression: `variables.${variable} == ''`,
      messageExpression:
        `'${field} must be left out in the namespace of a project: ${why.replaceAll("'", "\\'")}, ` +
        `instead got "' + variables.${variable} + '". Take it out of the pod, or of the template ` +
        "that the pod is made from.'",
      reason: "Forbidden",
    })),
  };
}

/** The spec of an object's pods: a pod's own, a CronJob's, or any other workload's. */
function podIn(object: string): string {
  const spec = `dyn(${object}).?spec`;
  return (
    `(request.kind.kind == 'Pod' ? ${spec}.orValue({}) : ` +
    `${spec}.?jobTemplate.?spec.?template.?spec` +
    `.orValue(${spec}.?template.?spec.orValue({})))`
  );
}

function unlessUnchanged(field: string, value: string): string {
  const same = `variables.pod.?${field}.orValue('') == variables.before.?${field}.orValue('')`;
  return `request.operation == 'UPDATE' && ${same} ? '' : (${value})`;
}
