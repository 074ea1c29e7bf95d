import { AppsV1Api, CoreV1Api, NetworkingV1Api } from "@kubernetes/client-node";
import { ENVIRONMENT_LABEL, SERVICE_LABEL } from "../../core/labels.ts";
import { expect, kubeConfig, type Sight, type Stage } from "./stage.ts";

/** Lists the project's objects with their labels. */
export async function proveKubernetes(stage: Stage): Promise<Sight> {
  const { slug: namespace, tenantId } = stage;
  const config = kubeConfig(stage);
  const core = config.makeApiClient(CoreV1Api);
  const [deployment, pods, services, ingresses, quotas] = await Promise.all([
    config.makeApiClient(AppsV1Api).readNamespacedDeployment({ name: namespace, namespace }),
    core.listNamespacedPod({ namespace }),
    core.listNamespacedService({ namespace }),
    config.makeApiClient(NetworkingV1Api).listNamespacedIngress({ namespace }),
    core.listNamespacedResourceQuota({ namespace }),
  ]);
  const labels = deployment.spec?.template.metadata?.labels ?? {};
  expect(labels[ENVIRONMENT_LABEL] === tenantId, "the pods carry the environment's label");
  expect(labels[SERVICE_LABEL] === namespace, "the pods carry the service's label");
  expect(deployment.status?.availableReplicas === deployment.spec?.replicas, "all pods run");
  expect(pods.items.length > 0, "there is a pod");
  expect(services.items.length === 1 && quotas.items.length === 1, "Service and quota are there");
  const host = ingresses.items[0]?.spec?.rules?.[0]?.host;
  expect(host === `${namespace}.${stage.domain}`, "the Ingress serves the project's host");
  return [
    `Deployment ${namespace}: ${deployment.status?.availableReplicas} of ${deployment.spec?.replicas} pods, Service, Ingress ${host}`,
    `labels of its pods: ${SERVICE_LABEL}=${namespace} ${ENVIRONMENT_LABEL}=${tenantId}`,
  ];
}

/** The labels by which a workload's pods find their environment. */
export async function citadelLabelsOf(
  stage: Pick<Stage, "env">,
  { namespace, name, kind }: { namespace: string; name: string; kind: string },
): Promise<Record<string, string>> {
  const apps = kubeConfig(stage).makeApiClient(AppsV1Api);
  const workload =
    kind === "StatefulSet"
      ? await apps.readNamespacedStatefulSet({ namespace, name })
      : await apps.readNamespacedDeployment({ namespace, name });
  const labels = workload.spec?.template.metadata?.labels ?? {};
  return Object.fromEntries(
    Object.entries(labels).filter(([label]) => label.startsWith("citadel.io/")),
  );
}

/** What the project's process finds in its environment: the Secret that its Deployment names. */
export async function applicationEnvironment(stage: Stage): Promise<Record<string, string>> {
  const { slug: namespace } = stage;
  const config = kubeConfig(stage);
  const deployment = await config
    .makeApiClient(AppsV1Api)
    .readNamespacedDeployment({ name: namespace, namespace });
  const name = deployment.spec?.template.spec?.containers[0]?.envFrom?.[0]?.secretRef?.name ?? "";
  const secret = await config.makeApiClient(CoreV1Api).readNamespacedSecret({ name, namespace });
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]),
  );
}
