import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { parsePlatformSettings, type PlatformSettings } from "../core/settings.ts";
import { until } from "./process.ts";

/** The platform that the sandbox simulates. */
export const PLATFORM = "staging";

/** The settings of this platform, from its stack config in the repository. */
export async function sandboxPlatform(): Promise<PlatformSettings> {
  const file = join(import.meta.dirname, "..", `Pulumi.${PLATFORM}.yaml`);
  const { config } = parse(await readFile(file, "utf8")) as { config: Record<string, unknown> };
  return parsePlatformSettings(
    Object.fromEntries(
      Object.entries(config).map(([key, value]) => [key.replace(/^rdev:/, ""), value]),
    ),
  );
}

const NAMESPACE = "rdev";

/** The workloads of a platform before rdev-infra: rdev itself, without Citadel's labels. */
const WORKLOADS = [
  { kind: "Deployment", name: "rdev-api", image: "registry.invalid/rdev/api:1" },
  { kind: "Deployment", name: "rdev-worker", image: "registry.invalid/rdev/worker:1" },
  { kind: "StatefulSet", name: "claudebox", image: "registry.invalid/rdev/claudebox:1" },
] as const;

/** The images of these workloads. They exist in no registry. */
export const PLATFORM_IMAGES: readonly string[] = WORKLOADS.map(({ image }) => image);

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

/** Resolves when all workloads are rolled out, which shows that scheduler and controllers work. */
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
