import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Kubernetes } from "./client.ts";
import {
  claims,
  type Foreign,
  foreignFields,
  type ManagedFields,
  takenOver,
} from "./managed-fields.ts";

/** The annotation of a Deployment that says what its last correction took back. */
export const TAKEN_BACK = "rdev.io/taken-back";

/** In characters. An annotation may be longer, but a person has to read it. */
const MAX_LENGTH = 2000;

/** The field manager of Kubernetes' own controllers, including its autoscaler. */
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
    /** Read from the cluster: who holds which foreign field, or held it at the last correction. */
    takenBack: z.string().default(""),
    /** The number of pods. If there is an autoscaler, its number is read from the cluster. */
    replicas: z.int(),
    /** There must be no pods, so an autoscaler has no say. Kubernetes' own never scales from 0. */
    stopped: z.literal(true).optional(),
  }),
  attributes: z.object({}),
  replaceOn: ["namespace", "deployment", "container"],
  secrets: [],

  connect: () => Kubernetes.connect(),

  async lookUp(kubernetes, { namespace, deployment, container, replicas, stopped = false }) {
    const live = await kubernetes.deployments.read(namespace, deployment);
    if (!live) return { takenBack: "" };
    const isScaled =
      !stopped && (await isAutoscaled(kubernetes, namespace, deployment, live.managedFields));
    const foreign = foreignFields(live.managedFields, claims(container, isScaled));
    return {
      takenBack:
        foreign.length > 0
          ? describe(live.generation, foreign)
          : (live.annotations[TAKEN_BACK] ?? ""),
      // After a stop there are no pods, and an autoscaler leaves it so.
      replicas: isScaled && live.replicas > 0 ? live.replicas : replicas,
    };
  },

  // This resource creates nothing on the server, so there is nothing to find, read or delete.
  find: () => Promise.resolve(undefined),
  create: (_kubernetes, { namespace, deployment }) => Promise.resolve(`${namespace}/${deployment}`),

  async apply(kubernetes, _id, { namespace, deployment, container, stopped = false }) {
    await kubernetes.deployments.changeManagedFields(namespace, deployment, async (all) => {
      const isScaled = !stopped && (await isAutoscaled(kubernetes, namespace, deployment, all));
      const foreign = foreignFields(all, claims(container, isScaled));
      return foreign.length > 0 ? takenOver(all, foreign) : undefined;
    });
    return {};
  },

  read: () => Promise.resolve({}),
  delete: () => Promise.resolve(),
});

/** Without the right to list autoscalers, the managed fields show one that has scaled already. */
async function isAutoscaled(
  kubernetes: Kubernetes,
  namespace: string,
  deployment: string,
  all: readonly ManagedFields[],
): Promise<boolean> {
  try {
    return await kubernetes.deployments.isAutoscaled(namespace, deployment);
  } catch (error) {
    if (!(error instanceof InfraError) || error.code !== "RDEV_FORBIDDEN") throw error;
    return all.some(
      ({ manager, subresource }) => manager === AUTOSCALER && subresource === "scale",
    );
  }
}

/** Contains the generation, so that the same change leads to another text when it is made again. */
function describe(generation: number, foreign: readonly Foreign[]): string {
  const managers = foreign
    .map(({ entry, paths }) => {
      const since = entry.time === undefined ? "" : ` (${entry.time})`;
      return `${entry.manager}${since}: ${paths.toSorted().join(", ")}`;
    })
    .toSorted();
  const text = `in generation ${generation}, ${managers.join("; ")}`;
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}

export const provider = dynamicProvider(definition);

/**
 * Finds, in every preview and up, the fields of a Deployment that others set although the program
 * decides them, and makes Pulumi their field manager. The text of `takenBack` changes with them, which
 * updates the Deployment: that restores changed fields and removes added ones. Creates nothing.
 *
 * A refresh alone is not enough. The official plugin ignores fields that the program does not name, and
 * server-side apply does not remove a field that another manager owns.
 */
export class ForeignFields extends dynamicResource(definition) {
  declare readonly takenBack: pulumi.Output<string>;
  declare readonly replicas: pulumi.Output<number>;
}
