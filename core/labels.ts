import { MANAGED_BY, type Mark, markOf, type Owner } from "./ownership.ts";

/**
 * On a pod: the agent routes its output to this environment, a tenant's UUID. On a namespace: the
 * only one that the pods in it may name.
 */
export const ENVIRONMENT_LABEL = "citadel.io/environment";
/** The agent writes this as `service` into every event of the pod. */
export const SERVICE_LABEL = "citadel.io/service";

/** The namespace's mark, in Kubernetes' own words. */
const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";
export const PROJECT_LABEL = "rdev.io/project";
const PLATFORM_LABEL = "rdev.io/platform";
const STACK_LABEL = "rdev.io/stack";

export type Labels = Readonly<Record<string, string>>;

/** What a Deployment, and everything beside it, is selected and found by. */
export function workloadLabels(name: string, component?: string): Labels {
  return {
    "app.kubernetes.io/name": name,
    ...(component && { "app.kubernetes.io/component": component }),
    [MANAGED_BY_LABEL]: MANAGED_BY,
  };
}

/** On what is in a namespace: its project. The namespace itself carries the whole mark. */
export function ownershipLabels(project: string): Labels {
  return { [MANAGED_BY_LABEL]: MANAGED_BY, [PROJECT_LABEL]: project };
}

/** The mark on a namespace. */
export function markLabels(owner: Owner): Labels {
  const { platform = "", stack = "" } = markOf(owner);
  return {
    ...ownershipLabels(owner.project),
    ...(platform && { [PLATFORM_LABEL]: platform }),
    ...(stack && { [STACK_LABEL]: stack }),
  };
}

/** The mark that labels hold; undefined where they hold none. */
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

/** Where a pod's output goes. Without an environment the agent uses the platform's. */
export function citadelLabels(service: string, environment?: string): Labels {
  return { ...(environment && { [ENVIRONMENT_LABEL]: environment }), [SERVICE_LABEL]: service };
}

/** On a namespace. Without an environment its pods may name none, which the empty label says. */
export function environmentBinding(environment?: string): Labels {
  return { [ENVIRONMENT_LABEL]: environment ?? "" };
}
