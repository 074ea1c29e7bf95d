import { AppsV1Api, CoreV1Api } from "@kubernetes/client-node";
import { until } from "../process.ts";
import { kubeConfig, type ProjectOnServers } from "../proofs/project.ts";
import { expect } from "../proofs/proofs.ts";

type Place = Pick<ProjectOnServers, "slug" | "env">;

/** The URL of the project's Service, which works on the node. */
export async function serviceUrl(project: Place): Promise<string> {
  const { slug } = project;
  const core = kubeConfig(project).makeApiClient(CoreV1Api);
  const { spec } = await core.readNamespacedService({ namespace: slug, name: slug });
  return `http://${spec?.clusterIP}/`;
}

/** The image in the project's Deployment. */
export async function deployedImage(project: Place): Promise<string> {
  const { slug } = project;
  const apps = kubeConfig(project).makeApiClient(AppsV1Api);
  const { spec } = await apps.readNamespacedDeployment({ namespace: slug, name: slug });
  return spec?.template.spec?.containers[0]?.image ?? "";
}

/** Resolves with the names of the project's pods when all of them run its current image. */
export async function onlyCurrentPods(project: Place): Promise<readonly string[]> {
  const { slug: namespace } = project;
  const core = kubeConfig(project).makeApiClient(CoreV1Api);
  const image = await deployedImage(project);
  let names: string[] = [];
  await until(async () => {
    const { items } = await core.listNamespacedPod({ namespace });
    const isCurrent = items.every(({ spec }) => spec?.containers[0]?.image === image);
    expect(items.length > 0 && isCurrent, "only pods of the current image are there");
    names = items.map(({ metadata }) => metadata?.name ?? "");
  });
  return names;
}
