import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { difference } from "../../core/adoption.ts";
import { MARK_LABELS, markInLabels, markLabels, workloadLabels } from "../../core/labels.ts";
import { ownershipOf, retainedOwner } from "../../core/ownership.ts";
import type { AdoptedProject, Adoption, FoundObject } from "../adoption.ts";
import { finishReplacement, replaceDeployment } from "./adopted-deployment.ts";
import {
  deploymentIn,
  type ExistingDeployment,
  ingressIn,
  lostByDeployment,
  lostByIngress,
  serviceIn,
} from "./adoptable-objects.ts";
import { Kubernetes, type ObjectName } from "./client.ts";

/** Keeps the namespace with everything in it, and the image that its Deployment runs. */
export const adoption: Adoption = {
  async find(project) {
    const kubernetes = await Kubernetes.connect();
    const { slug, owner } = project;
    const space = await kubernetes.namespaces.read(slug);
    if (!space) return [];
    const whose = ownershipOf(markInLabels(space.labels), owner);
    const labels = MARK_LABELS.flatMap((label) =>
      space.labels[label] === undefined || whose !== "unmarked"
        ? []
        : difference(`label ${label}`, space.labels[label], markLabels(owner)[label] ?? "the mark"),
    );
    const found: FoundObject = {
      what: `namespace ${slug}`,
      whose,
      changes: ["Pod Security restricted, a quota, limits and a network policy", ...labels],
      problems: space.isTerminating ? ["is being deleted. Wait until it is gone."] : [],
    };
    if (whose !== "unmarked" && whose !== "retained") return [found];
    const inside = await Promise.all([
      deployments(kubernetes, project),
      services(kubernetes, project),
      ingresses(kubernetes, project),
      overwritten(kubernetes, slug),
      others(kubernetes, slug),
    ]);
    return [found, ...inside.flat().map((each) => ({ ...each, whose }))];
  },

  async mark({ slug, owner }) {
    const kubernetes = await Kubernetes.connect();
    const space = await kubernetes.namespaces.read(slug);
    if (!space || space.isTerminating) return;
    if (ownershipOf(markInLabels(space.labels), owner) !== "unmarked") return;
    await kubernetes.namespaces.apply(slug, space.uid, {
      labels: markLabels(retainedOwner(owner)),
      annotations: {},
    });
  },

  async prepare({ slug, owner }) {
    const kubernetes = await Kubernetes.connect();
    const space = await kubernetes.namespaces.read(slug);
    const whose = ownershipOf(markInLabels(space?.labels ?? {}), owner);
    if (whose === "retained" || whose === "ours") await replaceDeployment(kubernetes, slug);
  },

  async finish({ slug }) {
    await finishReplacement(await Kubernetes.connect(), slug);
  },
};

type Inside = Omit<FoundObject, "whose">;

async function deployments(kubernetes: Kubernetes, project: AdoptedProject): Promise<Inside[]> {
  const { slug, sizes } = project;
  const found = await deploymentIn(kubernetes, slug);
  if (!found) return [];
  const problems = await lostByDeployment(kubernetes, slug, found);
  return [
    {
      what: `Deployment ${slug}`,
      changes: [
        `the image ${imageOf(found)} stays`,
        ...(found.isReplaced
          ? ["a new Deployment, because a selector cannot change; the old pods run until it is up"]
          : []),
        ...difference("replicas", found.replicas, sizes.replicas),
        "runs like every project: port 8080, GET /healthz, user 65532, read-only file system",
      ],
      problems,
    },
  ];
}

function imageOf({ containers }: ExistingDeployment): string {
  return containers[0]?.image ?? "";
}

async function services(kubernetes: Kubernetes, { slug }: AdoptedProject): Promise<Inside[]> {
  const found = await serviceIn(kubernetes, slug);
  if (!found) return [];
  const ports = found.ports.map(({ port }) => port).join(" ");
  const type =
    found.type === "ClusterIP" ? [] : [`is of the type ${found.type}. Make it ClusterIP.`];
  const changes = [
    ...difference("ports", ports, "80"),
    ...(isDeepStrictEqual(found.selector, workloadLabels(slug)) ? [] : ["the project's selector"]),
  ];
  return [{ what: `Service ${slug}`, changes, problems: type }];
}

async function ingresses(kubernetes: Kubernetes, project: AdoptedProject): Promise<Inside[]> {
  const { slug, settings } = project;
  const found = await ingressIn(kubernetes, slug);
  if (!found) return [];
  const host = `${slug}.${settings.domain}`;
  const changes = [
    ...difference("class", found.ingressClass, settings.ingressClass),
    `only ${host}, to the Service ${slug}`,
  ];
  return [{ what: `Ingress ${slug}`, changes, problems: lostByIngress(found, host) }];
}

/** Objects with fixed names that the `up` would overwrite. */
const FIXED: readonly (readonly [apiVersion: string, kind: string, name: string])[] = [
  ["v1", "LimitRange", "project"],
  ["v1", "ResourceQuota", "project"],
  ["networking.k8s.io/v1", "NetworkPolicy", "project"],
  ["v1", "Secret", "registry-pull"],
  ["v1", "Secret", "deploy-token"],
  ["v1", "ServiceAccount", "deploy"],
  ["rbac.authorization.k8s.io/v1", "Role", "deploy"],
  ["rbac.authorization.k8s.io/v1", "RoleBinding", "deploy"],
];

async function overwritten(kubernetes: Kubernetes, namespace: string): Promise<Inside[]> {
  const found = await Promise.all(
    FIXED.map(async ([apiVersion, kind, name]) => {
      const object = await kubernetes.find({ apiVersion, kind, namespace, name });
      // An adoption that was interrupted after its `up` had begun.
      const isOurs = markInLabels(object?.metadata?.labels ?? {})?.["project"] === namespace;
      return object && !isOurs ? [`${kind} ${name}`] : [];
    }),
  );
  return found.flat().map((what) => ({
    what,
    changes: [],
    problems: ["would be overwritten. Give it another name."],
  }));
}

const WORKLOADS: readonly (readonly [apiVersion: string, kind: string])[] = [
  ["apps/v1", "Deployment"],
  ["apps/v1", "StatefulSet"],
  ["apps/v1", "DaemonSet"],
  ["batch/v1", "CronJob"],
  ["batch/v1", "Job"],
  ["v1", "PersistentVolumeClaim"],
];

const named = z.object({ metadata: z.object({ name: z.string() }) });

/** Lists the objects in the namespace that are not the project's. */
async function others(kubernetes: Kubernetes, namespace: string): Promise<Inside[]> {
  const found = await Promise.all(
    WORKLOADS.map(async ([apiVersion, kind]): Promise<ObjectName[]> => {
      const objects = await kubernetes.list(apiVersion, kind, namespace);
      return objects.map((each) => ({ apiVersion, kind, name: named.parse(each).metadata.name }));
    }),
  );
  return found
    .flat()
    .filter(({ kind, name }) => kind !== "Deployment" || name !== namespace)
    .map(({ kind, name }) => ({
      what: `${kind} ${name}`,
      changes: [
        "stays; new pods need the label citadel.io/environment and fit Pod Security restricted; " +
          "a destroy of the project deletes it",
      ],
      problems: [],
    }));
}
