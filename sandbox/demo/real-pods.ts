import { CoreV1Api } from "@kubernetes/client-node";
import { until } from "../process.ts";
import { kubeConfig } from "../proofs/project.ts";
import { type Evidence, expect } from "../proofs/proofs.ts";
import { deployedImage, onlyCurrentPods } from "./deployed-pods.ts";
import { errorQuery, proveLines, proveQuery, proveWiderQueries } from "./log-lines.ts";
import { proveSeparation } from "./neighbour-pod.ts";
import { provePage, visitWithFailure } from "./page.ts";
import { followPipeline } from "./pipeline.ts";
import { proveRollout } from "./rollout.ts";
import { skip, step } from "./screen.ts";
import type { Stage } from "./stage.ts";

const NAME = "My First Project!";
const NEIGHBOUR = "Neighbour";

/** The life of a project whose own code is built, runs in pods and is used. */
export async function realPodsStory(stage: Stage): Promise<void> {
  const { node, sendsLogs, folder } = stage.sandbox;
  if (!node) throw new Error("the sandbox has no real node");
  await stage.bringUp(
    sendsLogs ? "the log agent runs" : "the log agent is left out: a stand-in runs in its pods",
  );
  const project = await createAndDeploy(stage, NAME);
  const { slug } = project;
  await step("the page answers through its Service, with the project's own code", async () => [
    undefined,
    await provePage(project, node),
  ]);
  const neighbour = await createAndDeploy(stage, NEIGHBOUR);
  await step("ten requests make ten lines of JSON", async () => {
    const evidence = await proveLines(project, node);
    await visitWithFailure(neighbour, node, 1);
    return [undefined, evidence];
  });
  if (sendsLogs) {
    await step(errorQuery(slug), async () => [undefined, await proveQuery(project, neighbour)]);
    await step("the plan's queries about all projects, and about the actions on one", async () => [
      undefined,
      await proveWiderQueries(project, neighbour),
    ]);
  } else {
    const reason = "no Fluent Bit: there is none in PATH, and no registry to pull it from";
    skip(errorQuery(slug), reason);
  }
  await step("a second commit rolls out without a refused request", async () => [
    undefined,
    await proveRollout(project, node),
  ]);
  await step(
    "a neighbour's pod gets neither its database nor its cache nor its image",
    async () => [undefined, await proveSeparation(project, neighbour, { node, folder })],
  );
  const slugs = [slug, neighbour.slug];
  await stage.delete(...slugs);
  await stage.close(slugs, () => nothingOnNode(stage, [...slugs, stage.settings.agentNamespace]));
}

/** Creates a project by its name. Its first pipeline then replaces the placeholder. */
async function createAndDeploy(stage: Stage, name: string) {
  const project = await stage.create(name);
  await step("its pipeline tests, builds, pushes and deploys it", async () => {
    const pipeline = await followPipeline(project, { number: 1 });
    const image = await deployedImage(project);
    const pods = await onlyCurrentPods(project);
    return [undefined, [pipeline, `${pods.join(", ")} runs ${shortened(image)}`]];
  });
  return project;
}

/** With the beginning of the digest only. */
function shortened(image: string): string {
  return image.replace(/(?<=@sha256:.{12}).*/, "…");
}

/** Throws while a pod or a container of these namespaces is left. Waits for the kubelet to end them. */
async function nothingOnNode(
  { sandbox: { env, node } }: Stage,
  namespaces: readonly string[],
): Promise<Evidence> {
  const core = kubeConfig({ env }).makeApiClient(CoreV1Api);
  await until(async () => {
    for (const namespace of namespaces) {
      const { items } = await core.listNamespacedPod({ namespace });
      expect(items.length === 0, `no pod is left in ${namespace}`);
      const containers = (await node?.containersOf(namespace)) ?? [];
      expect(
        containers.length === 0,
        `no container of ${namespace} is left (${containers.length})`,
      );
    }
  });
  return ["on the node: no pod and no container of them"];
}
