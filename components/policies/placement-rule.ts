import { type PolicySpec, resourceRule, WORKLOAD_RULES } from "./admission-policy.ts";

/** The prefix of Kubernetes' own priority classes. Their pods can evict every other pod of a node. */
const SYSTEM_CLASSES = "system-";

/**
 * Leaves the placement of projects' pods to the cluster's scheduler. A pod may not name a node, which
 * would bypass the scheduler and every taint, nor another scheduler, nor a priority class.
 *
 * A pod itself, unlike a template, may have a priority class that is not a system class: the API
 * server adds the cluster's default class to pods before this check. An update that does not change
 * these fields passes, so that objects that an older version admitted can be scaled down and deleted.
 */
export function placementRule(): PolicySpec {
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [
        // An existing pod gets its node through a binding, from the scheduler.
        resourceRule("", ["pods"], ["CREATE"]),
        resourceRule("", ["replicationcontrollers"]),
        ...WORKLOAD_RULES,
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

/** The CEL expression for the spec of an object's pods: of a pod, a CronJob or another workload. */
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
