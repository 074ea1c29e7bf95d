import { MANAGED_BY } from "./ownership.ts";

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

export type Labels = Readonly<Record<string, string>>;

/** What a Deployment, and everything beside it, is selected and found by. */
export function workloadLabels(name: string, component?: string): Labels {
  return {
    "app.kubernetes.io/name": name,
    ...(component && { "app.kubernetes.io/component": component }),
    [MANAGED_BY_LABEL]: MANAGED_BY,
  };
}

/** The mark on a namespace, and on what is in it. */
export function ownershipLabels(project: string): Labels {
  return { [MANAGED_BY_LABEL]: MANAGED_BY, [PROJECT_LABEL]: project };
}

/** The project that a mark names. */
export function markedProject(labels: Labels): string | undefined {
  return labels[MANAGED_BY_LABEL] === MANAGED_BY ? labels[PROJECT_LABEL] : undefined;
}

/** Where a pod's output goes. Without an environment the agent uses the platform's. */
export function citadelLabels(service: string, environment?: string): Labels {
  return { ...(environment && { [ENVIRONMENT_LABEL]: environment }), [SERVICE_LABEL]: service };
}

/** On a namespace. Without an environment its pods may name none, which the empty label says. */
export function environmentBinding(environment?: string): Labels {
  return { [ENVIRONMENT_LABEL]: environment ?? "" };
}
