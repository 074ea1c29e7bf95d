import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Kubernetes } from "./client.ts";
import { type Foreign, foreignFields, type ManagedFields, takenOver } from "./managed-fields.ts";

/** On a Deployment: what its last correction took back. It changes with the next one. */
export const TAKEN_BACK = "rdev.io/taken-back";

/** An annotation may be long, but a person should be able to read it. */
const LONGEST = 2000;

/** As whom Kubernetes' own controllers write, its autoscaler among them. */
const AUTOSCALER = "kube-controller-manager";

const definition = define({
  module: "kubernetes/foreign-fields",
  type: "kubernetes:ForeignFields",
  noun: "managed fields of the Deployment",
  inputs: z.object({
    namespace: z.string().min(1),
    deployment: z.string().min(1),
    /** The container whose image others may set. */
    container: z.string().min(1),
    /** Looked up: who held which field against the program, or did at the last correction. */
    takenBack: z.string().default(""),
    /** How many pods there should be. Looked up: as many as an autoscaler wants, where there is one. */
    replicas: z.int(),
  }),
  attributes: z.object({}),
  replaceOn: ["namespace", "deployment", "container"],
  secrets: [],

  connect: () => Kubernetes.connect(),

  async lookUp(kubernetes, { namespace, deployment, container, replicas }) {
    const live = await kubernetes.deployment(namespace, deployment);
    if (!live) return { takenBack: "" };
    const isScaled = await isAutoscaled(kubernetes, namespace, deployment, live.managedFields);
    const foreign = foreignFields(live.managedFields, claims(container, isScaled));
    return {
      takenBack:
        foreign.length > 0 ? told(live.generation, foreign) : (live.annotations[TAKEN_BACK] ?? ""),
      replicas: isScaled ? live.replicas : replicas,
    };
  },

  // It makes nothing, so nothing stands in its way, and nothing is there to delete.
  find: () => Promise.resolve(undefined),
  create: (_kubernetes, { namespace, deployment }) => Promise.resolve(`${namespace}/${deployment}`),

  async apply(kubernetes, _id, { namespace, deployment, container }) {
    await kubernetes.changeManagedFields(namespace, deployment, async (all) => {
      const isScaled = await isAutoscaled(kubernetes, namespace, deployment, all);
      const foreign = foreignFields(all, claims(container, isScaled));
      return foreign.length > 0 ? takenOver(all, foreign) : undefined;
    });
    return {};
  },

  read: () => Promise.resolve({}),
  delete: () => Promise.resolve(),
});

/**
 * What of a Deployment the program decides: its whole spec, but not the image, which CI sets, not
 * the time of a restart, and not the replicas where an autoscaler does. And that no finalizer holds
 * its deletion up.
 */
function claims(container: string, isAutoscaled: boolean): (path: string) => boolean {
  const app = `spec.template.spec.containers[${container}]`;
  const free = new Set([
    `${app}.image`,
    `${app}.name`,
    app,
    "spec.template.metadata.annotations.kubectl.kubernetes.io/restartedAt",
    ...(isAutoscaled ? ["spec.replicas"] : []),
  ]);
  return (path) =>
    (path.startsWith("spec.") && !free.has(path)) || path.startsWith("metadata.finalizers");
}

/** Where autoscalers may not be listed, one that has scaled the Deployment shows in its records. */
async function isAutoscaled(
  kubernetes: Kubernetes,
  namespace: string,
  deployment: string,
  all: readonly ManagedFields[],
): Promise<boolean> {
  try {
    return await kubernetes.isAutoscaled(namespace, deployment);
  } catch (error) {
    if (!(error instanceof InfraError) || error.code !== "RDEV_FORBIDDEN") throw error;
    return all.some(
      ({ manager, subresource }) => manager === AUTOSCALER && subresource === "scale",
    );
  }
}

/** Names the generation, so that the same change made again is another text. */
function told(generation: number, foreign: readonly Foreign[]): string {
  const managers = foreign
    .map(({ entry, paths }) => {
      const since = entry.time === undefined ? "" : ` (${entry.time})`;
      return `${entry.manager}${since}: ${paths.toSorted().join(", ")}`;
    })
    .toSorted();
  const text = `in generation ${generation}, ${managers.join("; ")}`;
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

export const provider = dynamicProvider(definition);

/**
 * The fields of a Deployment that others hold against the program, looked up in every preview and
 * up, and handed over to Pulumi's field manager. Then the Deployment's own update, which the changed
 * text of `takenBack` causes, puts back what was changed and takes away what was added. Makes nothing.
 *
 * A refresh alone does not do it: the official plugin sees no field that the program does not name,
 * and server-side apply removes none that another manager owns.
 */
export class ForeignFields extends DynamicResource<typeof definition> {
  declare readonly takenBack: pulumi.Output<string>;
  declare readonly replicas: pulumi.Output<number>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
