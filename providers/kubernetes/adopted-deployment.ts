/** Puts a Deployment with a project's selector in the place of one that was made by hand. */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import {
  citadelLabels,
  CONTAINER,
  ENVIRONMENT_LABEL,
  ownershipLabels,
  workloadLabels,
} from "../../core/labels.ts";
import { deploymentIn, type ExistingDeployment, serviceIn } from "./adoptable-objects.ts";
import type { Kubernetes } from "./client.ts";
import { PULUMI } from "./managed-fields.ts";

/** On the ReplicaSets whose Deployment was replaced. Their pods run until the `up` has succeeded. */
const REPLACED = "rdev.io/replaced";

/** In ms. */
const DEADLINE = 30_000;
const POLL = 250;

const owners = z
  .array(z.object({ uid: z.string(), controller: z.boolean().optional() }))
  .default([]);

const replicaSet = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    ownerReferences: owners,
  }),
  spec: z.object({
    replicas: z.int().default(0),
    template: z.object({
      spec: z.object({ containers: z.array(z.object({ image: z.string().default("") })) }),
    }),
  }),
});

const pod = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
});

/**
 * A Deployment's selector cannot change, so a Deployment with the project's selector and the running
 * image takes its place, still without pods: the `up` gives it the rest. The old pods go on running,
 * and get the labels that the project's Service selects. Each step can be repeated.
 */
export async function replaceDeployment(kubernetes: Kubernetes, slug: string): Promise<void> {
  const found = await deploymentIn(kubernetes, slug);
  if (found?.isReplaced) await labelPods(kubernetes, slug, found);
  await selectByProject(kubernetes, slug);
  if (found?.isReplaced) await orphanPods(kubernetes, slug, found);
  if (found && !found.isReplaced) return;
  const [newest] = (await replacedSets(kubernetes, slug)).toSorted(
    (a, b) => b.spec.replicas - a.spec.replicas,
  );
  const image = newest?.spec.template.spec.containers[0]?.image;
  if (image !== undefined) await createWithoutPods(kubernetes, slug, image);
}

/** Ends the pods of the Deployment that was replaced. */
export async function finishReplacement(kubernetes: Kubernetes, slug: string): Promise<void> {
  for (const { metadata } of await replacedSets(kubernetes, slug)) {
    await kubernetes.merge(setName(slug, metadata.name), { spec: { replicas: 0 } });
  }
}

/** Gives the pods the labels that the project's Service selects, and notes their ReplicaSets. */
async function labelPods(
  kubernetes: Kubernetes,
  slug: string,
  { uid, selector }: ExistingDeployment,
): Promise<void> {
  for (const { metadata } of await replicaSets(kubernetes, slug)) {
    if (!metadata.ownerReferences.some((owner) => owner.uid === uid)) continue;
    const change = { metadata: { labels: { [REPLACED]: "true" } } };
    await kubernetes.merge(setName(slug, metadata.name), change);
  }
  const pods = z.array(pod).parse(await kubernetes.list("v1", "Pod", slug));
  for (const { metadata } of pods) {
    const isOf = Object.entries(selector).every(([key, value]) => metadata.labels[key] === value);
    if (!isOf) continue;
    const name = { apiVersion: "v1", kind: "Pod", namespace: slug, name: metadata.name };
    await kubernetes.merge(name, { metadata: { labels: workloadLabels(slug) } });
  }
}

/** Deletes the Deployment without its ReplicaSets and pods. */
async function orphanPods(
  kubernetes: Kubernetes,
  slug: string,
  { uid }: ExistingDeployment,
): Promise<void> {
  const name = { apiVersion: "apps/v1", kind: "Deployment", namespace: slug, name: slug };
  await kubernetes.delete(name, "Orphan");
  await until(
    async () => (await kubernetes.find(name))?.metadata?.uid !== uid,
    `The Deployment ${slug} was not deleted`,
  );
}

/** Other keys of a selector would be merged with the project's, and then match no pod. */
async function selectByProject(kubernetes: Kubernetes, slug: string): Promise<void> {
  const found = await serviceIn(kubernetes, slug);
  if (!found || isDeepStrictEqual(found.selector, workloadLabels(slug))) return;
  const gone = Object.keys(found.selector).map((key) => [key, null] as const);
  const selector = { ...Object.fromEntries(gone), ...workloadLabels(slug) };
  const old = found.ports.find(({ port }) => port === 80) ?? found.ports[0];
  const port = { name: "http", port: 80, targetPort: old?.targetPort ?? "http" };
  const name = { apiVersion: "v1", kind: "Service", namespace: slug, name: slug };
  await kubernetes.merge(name, { spec: { selector, ports: [port] } });
}

async function createWithoutPods(
  kubernetes: Kubernetes,
  slug: string,
  image: string,
): Promise<void> {
  const space = await kubernetes.namespaces.read(slug);
  const environment = space?.labels[ENVIRONMENT_LABEL];
  const labels = workloadLabels(slug);
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: slug, namespace: slug, labels: { ...labels, ...ownershipLabels(slug) } },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels: { ...labels, ...citadelLabels(slug, environment) } },
        spec: { containers: [{ name: CONTAINER, image }] },
      },
    },
  };
  // Pulumi's plugin takes over what has its own name, as after a create of its own that was killed.
  await kubernetes.create(deployment, PULUMI);
  await until(
    async () => (await kubernetes.deployments.image(slug, slug, CONTAINER))?.isRollingOut === false,
    `The controller did not take up the Deployment ${slug}`,
  );
}

async function replicaSets(kubernetes: Kubernetes, slug: string) {
  return z.array(replicaSet).parse(await kubernetes.list("apps/v1", "ReplicaSet", slug));
}

/** Those without an owner: one that still has one belongs to a Deployment that still runs. */
async function replacedSets(kubernetes: Kubernetes, slug: string) {
  const all = await replicaSets(kubernetes, slug);
  return all.filter(
    ({ metadata }) =>
      metadata.labels[REPLACED] === "true" &&
      !metadata.ownerReferences.some(({ controller }) => controller === true),
  );
}

function setName(namespace: string, name: string) {
  return { apiVersion: "apps/v1", kind: "ReplicaSet", namespace, name };
}

async function until(isDone: () => Promise<boolean>, text: string): Promise<void> {
  const deadline = Date.now() + DEADLINE;
  while (!(await isDone())) {
    if (Date.now() > deadline) {
      throw new InfraError("RDEV_DEADLINE", `${text} within ${DEADLINE / 1000} s.`);
    }
    await sleep(POLL);
  }
}
