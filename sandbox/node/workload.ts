import {
  AppsV1Api,
  type KubeConfig,
  type V1PodSpec,
  type V1PolicyRule,
} from "@kubernetes/client-node";
import { until } from "../process.ts";

/** A server in the cluster that a platform has before rdev-infra, with one pod. */
export interface Workload {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The name of the role that its account has in the whole cluster. */
  readonly role: string;
  readonly rules: readonly V1PolicyRule[];
  readonly pod: V1PodSpec;
}

/** Its account with the role, and then its Deployment. */
export function workloadObjects({ name, namespace, labels, role, rules, pod }: Workload) {
  const metadata = { name, namespace, labels };
  const apiGroup = "rbac.authorization.k8s.io";
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: `${apiGroup}/v1`, kind: "ClusterRole", metadata: { name: role }, rules },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name: role },
      roleRef: { apiGroup, kind: "ClusterRole", name: role },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { serviceAccountName: name, ...pod } },
      },
    },
  ];
}

/** Resolves when its pod is ready. */
export async function workloadRuns(
  admin: KubeConfig,
  { name, namespace }: Pick<Workload, "name" | "namespace">,
): Promise<void> {
  const apps = admin.makeApiClient(AppsV1Api);
  await until(async () => {
    const { status } = await apps.readNamespacedDeployment({ namespace, name });
    if (status?.readyReplicas !== 1) throw new Error(`${name} is not ready`);
  });
}
