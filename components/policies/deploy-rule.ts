import { DEPLOY_ACCOUNT } from "../deploy-account.ts";
import { type PolicySpec, resourceRule } from "./admission-policy.ts";

/** `kubectl set image --record` writes the reason of a rollout into this annotation. */
const FREE_ANNOTATION = "kubernetes.io/change-cause";

/** The API server writes these fields with every change. */
const SERVER_METADATA = ["managedFields", "generation", "resourceVersion"];

/**
 * Lets a project's pipeline change only the image of one container of its Deployment. RBAC permits
 * it to patch the Deployment, but cannot limit the fields.
 *
 * Each level is compared key by key, so that fields of later Kubernetes versions are refused as well.
 */
export function deployRule(container: string): PolicySpec {
  return {
    failurePolicy: "Fail",
    matchConstraints: {
      resourceRules: [
        resourceRule(
          "apps",
          ["deployments", "deployments/scale", "deployments/status"],
          ["UPDATE"],
        ),
      ],
    },
    matchConditions: [
      {
        name: "is-the-pipeline",
        expression:
          "request.userInfo.username == " +
          `'system:serviceaccount:' + request.namespace + ':${DEPLOY_ACCOUNT}'`,
      },
    ],
    variables: [
      { name: "now", expression: "dyn(object)" },
      { name: "was", expression: "dyn(oldObject)" },
      {
        name: "changes",
        expression: [
          differences("variables.now", "variables.was", ["metadata", "spec"], ""),
          differences(
            "variables.now.metadata",
            "variables.was.metadata",
            [...SERVER_METADATA, "annotations"],
            "metadata.",
          ),
          differences(
            "variables.now.metadata.?annotations.orValue({})",
            "variables.was.metadata.?annotations.orValue({})",
            [FREE_ANNOTATION],
            "metadata.annotations.",
          ),
          inWorkload("spec", ["template"]),
          inWorkload("spec.template", ["spec"]),
          inWorkload("spec.template.spec", ["containers"]),
          containerChanges(container),
        ].join(" + "),
      },
    ],
    validations: [
      {
        expression: "size(variables.changes) == 0",
        messageExpression:
          `'A pipeline may change the image of the container ${container} of its Deployment, and ` +
          "nothing else, instead it changes ' + variables.changes.join(', ') + '. Change it with " +
          `rdev-infra, in the settings of the project.'`,
        reason: "Forbidden",
      },
    ],
  };
}

/** The differences at a path of the two objects. A Scale does not have these paths. */
function inWorkload(path: string, except: readonly string[]): string {
  const at = (object: string) =>
    path
      .split(".")
      .reduce((from, key) => `${from}.?${key}`, `variables.${object}`)
      .concat(".orValue({})");
  return differences(at("now"), at("was"), except, `${path}.`);
}

/** The CEL expression for the keys in which two maps differ, each with a prefix. */
function differences(now: string, was: string, except: readonly string[], prefix: string): string {
  const free = JSON.stringify(except);
  return (
    `(${now}.filter(k, !(k in ${free}) && !(k in ${was} && ${now}[k] == ${was}[k])) + ` +
    `${was}.filter(k, !(k in ${free}) && !(k in ${now}))).map(k, '${prefix}' + k)`
  );
}

/** Containers that were added, removed or changed in more than the permitted image. */
function containerChanges(container: string): string {
  const of = (object: string) =>
    `variables.${object}.?spec.?template.?spec.?containers.orValue([])`;
  const same =
    `c.all(k, (k == 'image' && c.name == '${container}') || (k in o && c[k] == o[k])) && ` +
    "o.all(k, k in c)";
  return (
    `(${of("now")}.filter(c, !${of("was")}.exists(o, o.name == c.name && ${same})) + ` +
    `${of("was")}.filter(c, !${of("now")}.exists(o, o.name == c.name)))` +
    ".map(c, 'the container ' + c.name)"
  );
}
