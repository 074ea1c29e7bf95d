import type * as k8s from "@pulumi/kubernetes";
import { ENVIRONMENT_LABEL, PROJECT_LABEL } from "../../core/labels.ts";

type Policy = k8s.types.input.admissionregistration.v1.ValidatingAdmissionPolicySpec;

/**
 * Who may say which environment a namespace is bound to, and that it is a project's: whoever may
 * change the policy for pods, and so could let everything pass anyway. To be allowed to make or
 * label namespaces is not enough.
 */
export function namespaceRule(podPolicy: string): Policy {
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [
        {
          apiGroups: [""],
          apiVersions: ["v1"],
          operations: ["CREATE", "UPDATE"],
          // Labels can be set through each of these.
          resources: ["namespaces", "namespaces/status", "namespaces/finalize"],
        },
      ],
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
