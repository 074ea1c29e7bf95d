import { AppsV1Api, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { until } from "./process.ts";

const NAMESPACE = "rdev";

/** What runs on a platform before rdev-infra comes: rdev itself, without a label of Citadel's. */
const WORKLOADS = [
  { kind: "Deployment", name: "rdev-api", image: "registry.invalid/rdev/api:1" },
  { kind: "Deployment", name: "rdev-worker", image: "registry.invalid/rdev/worker:1" },
  { kind: "StatefulSet", name: "claudebox", image: "registry.invalid/rdev/claudebox:1" },
] as const;

/** Creates the namespace `rdev` and its workloads. */
export async function applyWorkloads(config: KubeConfig): Promise<void> {
  const apps = config.makeApiClient(AppsV1Api);
  await config
    .makeApiClient(CoreV1Api)
    .createNamespace({ body: { metadata: { name: NAMESPACE } } });
  await Promise.all(
    WORKLOADS.map(({ kind, name, image }) => {
      const labels = { "app.kubernetes.io/name": name };
      const metadata = { name, labels };
      const selector = { matchLabels: labels };
      const template = { metadata: { labels }, spec: { containers: [{ name, image }] } };
      const spec = { replicas: 1, selector, template };
      return kind === "Deployment"
        ? apps.createNamespacedDeployment({ namespace: NAMESPACE, body: { metadata, spec } })
        : apps.createNamespacedStatefulSet({
            namespace: NAMESPACE,
            body: { metadata, spec: { ...spec, serviceName: name } },
          });
    }),
  );
}

/** Resolves when all of them are rolled out, which also shows that scheduler and controllers work. */
export async function workloadsRun(config: KubeConfig): Promise<void> {
  const apps = config.makeApiClient(AppsV1Api);
  await until(async () => {
    const sets = await Promise.all([
      apps.listNamespacedDeployment({ namespace: NAMESPACE }),
      apps.listNamespacedStatefulSet({ namespace: NAMESPACE }),
    ]);
    const ready = sets
      .flatMap(({ items }) => items)
      .filter((one) => one.status?.readyReplicas === 1);
    if (ready.length < WORKLOADS.length) throw new Error(`${ready.length} workloads are ready`);
  });
}
