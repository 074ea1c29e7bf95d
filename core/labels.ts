import { MANAGED_BY, type Mark, markOf, type Owner } from "./ownership.ts";

/**
 * The label for an environment: a tenant's UUID. On a pod, the agent sends the pod's output to that
 * environment. On a namespace, it is the only environment that its pods may name.
 */
export const ENVIRONMENT_LABEL = "citadel.io/environment";
/** The label for the `service` field of all events of the pod. */
export const SERVICE_LABEL = "citadel.io/service";

/** The container of a project's Deployment, whose image CI sets. */
export const CONTAINER = "app";

/** The labels of the mark. The first one is Kubernetes' own. */
const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";
export const PROJECT_LABEL = "rdev.io/project";
const PLATFORM_LABEL = "rdev.io/platform";
const STACK_LABEL = "rdev.io/stack";

/** The labels of a namespace's mark. */
export const MARK_LABELS = [MANAGED_BY_LABEL, PROJECT_LABEL, PLATFORM_LABEL, STACK_LABEL] as const;

export type Labels = Readonly<Record<string, string>>;

/** The labels of a workload. Its selector uses them as well, so they must not change. */
export function workloadLabels(name: string, component?: string): Labels {
  return {
    "app.kubernetes.io/name": name,
    ...(component && { "app.kubernetes.io/component": component }),
    [MANAGED_BY_LABEL]: MANAGED_BY,
  };
}

/** The labels of objects in a namespace: the project only. The namespace has the whole mark. */
export function ownershipLabels(project: string): Labels {
  return { [MANAGED_BY_LABEL]: MANAGED_BY, [PROJECT_LABEL]: project };
}

/** The labels of a namespace or a cluster-scoped object: the whole mark. */
export function markLabels(owner: Owner): Labels {
  const { platform = "", stack = "" } = markOf(owner);
  return {
    ...ownershipLabels(owner.project),
    ...(platform && { [PLATFORM_LABEL]: platform }),
    ...(stack && { [STACK_LABEL]: stack }),
  };
}

/** The mark in labels; undefined if there is none. */
export function markInLabels(labels: Labels): Mark | undefined {
  if (labels[MANAGED_BY_LABEL] !== MANAGED_BY) return undefined;
  const project = labels[PROJECT_LABEL];
  const platform = labels[PLATFORM_LABEL];
  const stack = labels[STACK_LABEL];
  return {
    "managed-by": MANAGED_BY,
    ...(project !== undefined && { project }),
    ...(platform !== undefined && { platform }),
    ...(stack !== undefined && { stack }),
  };
}

/** The labels that route a pod's output. Without an environment the agent uses the platform's. */
export function citadelLabels(service: string, environment?: string): Labels {
  return { ...(environment && { [ENVIRONMENT_LABEL]: environment }), [SERVICE_LABEL]: service };
}

/** The label of a namespace. An empty label means that its pods may not name an environment. */
export function environmentBinding(environment?: string): Labels {
  return { [ENVIRONMENT_LABEL]: environment ?? "" };
}
