import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { markInLabels } from "../../core/labels.ts";
import { type Owner, ownerSchema, type Ownership, ownershipOf } from "../../core/ownership.ts";
import { policyActions } from "../../core/settings.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider, hasUnknown } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import type { ClusterNames } from "../check.ts";
import { BINDING, Kubernetes, type ObjectName, POLICIES } from "./client.ts";

/** A new policy does not deny yet, so that its effect can be seen first. */
const FIRST_ACTIONS = ["Warn", "Audit"] as const;

const definition = define({
  module: "kubernetes/cluster-claim",
  type: "kubernetes:ClusterClaim",
  noun: "claim on the cluster",
  inputs: z.object({
    platform: z.string().min(1),
    owner: ownerSchema,
    /** The platform's own namespace. */
    namespace: z.string().min(1).optional(),
    /** More of them. */
    namespaces: z.array(z.string().min(1)).optional(),
    /** The names of the platform's cluster-scoped objects. */
    policies: z.array(z.string()).default([]),
    clusterRoles: z.array(z.string()).default([]),
    /** The policy whose binding shows the actions in force. */
    leading: z.string().optional(),
    /** The actions in the platform's settings. Default: the actions in force. */
    wanted: policyActions.optional(),
    /** Read from the cluster. A program must not set it. */
    actions: policyActions.optional(),
    /** Kinds that the cluster may lack, such as `monitoring.coreos.com/v1/ServiceMonitor`. */
    kinds: z.array(z.string()).optional(),
    /** Those of `kinds` that the cluster has. Read like `actions`. */
    served: z.array(z.string()).optional(),
  }),
  attributes: z.object({}),
  replaceOn: [],
  secrets: [],

  connect: () => Kubernetes.connect(),

  async lookUp(kubernetes, inputs) {
    await refuseForeign(kubernetes, inputs);
    return {
      actions: inputs.wanted ?? (await actionsInForce(kubernetes, inputs.leading)),
      ...(inputs.kinds && { served: await kubernetes.served(inputs.kinds) }),
    };
  },

  // This resource creates nothing on the server, so there is nothing to find, read or delete.
  find: () => Promise.resolve(undefined),
  create: (_kubernetes, { platform }) => Promise.resolve(platform),
  apply: () => Promise.resolve({}),
  read: () => Promise.resolve({}),
  delete: () => Promise.resolve(),
});

type Inputs = z.output<typeof definition.inputs>;

type Claimant = ClusterNames & Pick<Inputs, "platform" | "owner">;

/** Throws RDEV_NOT_OURS, which names every object of somebody else. */
export async function refuseForeign(kubernetes: Kubernetes, inputs: Claimant): Promise<void> {
  const { namespace, namespaces = [], policies, clusterRoles = [] } = inputs;
  const wanted: ObjectName[] = [
    ...[...(namespace === undefined ? [] : [namespace]), ...namespaces].map((name) => ({
      apiVersion: "v1",
      kind: "Namespace",
      name,
    })),
    ...policies.flatMap((name) => [
      { apiVersion: POLICIES, kind: "ValidatingAdmissionPolicy", name },
      { apiVersion: POLICIES, kind: BINDING, name },
    ]),
    ...clusterRoles.flatMap((name) => [
      { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", name },
      { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", name },
    ]),
  ];
  const lines = await Promise.all(
    wanted.map(async (object) => {
      const found = await kubernetes.find(object);
      if (!found) return [];
      const labels = found.metadata?.labels ?? {};
      const ownership = ownershipIn(labels, inputs);
      if (MAY_CLAIM.includes(ownership)) return [];
      const whose = ownership === "others" ? ` of ${markInLabels(labels)?.["project"] ?? "?"}` : "";
      return [`the ${object.kind} ${object.name} (${ownership}${whose})`];
    }),
  );
  const found = lines.flat();
  if (found.length === 0) return;
  throw new InfraError(
    "RDEV_NOT_OURS",
    `The cluster already has ${found.join(", ")}, which this stack did not make, so nothing is ` +
      "made. Only one platform can collect the logs of a cluster. Choose another namespace " +
      "(rdev:agentNamespace, rdev:service) or another cluster, or remove those objects yourself.",
  );
}

/** An object of an earlier version passes: its own resource knows from its state whose it is. */
const MAY_CLAIM: readonly Ownership[] = ["ours", "before"];

/** In the preview of a new stack the owner is unknown, and nothing can belong to it yet. */
function ownershipIn(labels: Readonly<Record<string, string>>, { owner, platform }: Claimant) {
  const mark = markInLabels(labels);
  if (!hasUnknown(owner)) return ownershipOf(mark, owner);
  const nobody: Owner = { platform, project: platform, stack: "new" };
  return ownershipOf(mark, nobody);
}

async function actionsInForce(kubernetes: Kubernetes, leading: string | undefined) {
  const found = leading === undefined ? undefined : await kubernetes.actionsOf(leading);
  return found ?? [...FIRST_ACTIONS];
}

export const provider = dynamicProvider(definition);

/**
 * Checks the cluster in every preview and up, before a platform creates anything there: whether
 * somebody else has an object with a name that the platform needs, and which actions its cluster-wide
 * policies have now. Creates nothing.
 */
export class ClusterClaim extends dynamicResource(definition) {
  declare readonly actions: pulumi.Output<string[]>;
  /** Undefined if the program asked for no kinds. */
  declare readonly served: pulumi.Output<string[] | undefined>;
}
