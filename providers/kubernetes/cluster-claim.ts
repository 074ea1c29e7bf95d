import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { markInLabels } from "../../core/labels.ts";
import { type Owner, ownerSchema, type Ownership, ownershipOf } from "../../core/ownership.ts";
import { policyActions } from "../../core/settings.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider, hasUnknown } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Kubernetes, type ObjectName } from "./client.ts";

const POLICIES = "admissionregistration.k8s.io/v1";
const BINDING = "ValidatingAdmissionPolicyBinding";

/** Before anybody has seen what the policies would refuse. */
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
    /** The names of the platform's cluster-scoped objects. */
    policies: z.array(z.string()).default([]),
    clusterRoles: z.array(z.string()).default([]),
    /** The policy whose binding says what is in force. */
    leading: z.string().optional(),
    /** What the platform's settings say; without it, what is in force stays so. */
    wanted: policyActions.optional(),
    /** Looked up; not for a program to give. */
    actions: policyActions.optional(),
  }),
  attributes: z.object({}),
  replaceOn: [],
  secrets: [],

  connect: () => Kubernetes.connect(),

  async lookUp(kubernetes, inputs) {
    await refuseForeign(kubernetes, inputs);
    return { actions: inputs.wanted ?? (await actionsInForce(kubernetes, inputs.leading)) };
  },

  // It makes nothing, so nothing stands in its way, and nothing is there to delete.
  find: () => Promise.resolve(undefined),
  create: (_kubernetes, { platform }) => Promise.resolve(platform),
  apply: () => Promise.resolve({}),
  read: () => Promise.resolve({}),
  delete: () => Promise.resolve(),
});

type Inputs = z.output<typeof definition.inputs>;

/** Errors: RDEV_NOT_OURS, which names every object that is in the way. */
async function refuseForeign(kubernetes: Kubernetes, inputs: Inputs): Promise<void> {
  const { namespace, policies, clusterRoles } = inputs;
  const wanted: ObjectName[] = [
    ...(namespace === undefined ? [] : [{ apiVersion: "v1", kind: "Namespace", name: namespace }]),
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
    `The cluster already has ${found.join(", ")}, and it was not made by this stack, so nothing is ` +
      "made. A cluster has one platform that collects its logs. Choose another namespace " +
      "(rdev:agentNamespace) or another cluster, or remove what is in the way yourself.",
  );
}

/** What a version before made is claimed by the resource itself, which knows its state. */
const MAY_CLAIM: readonly Ownership[] = ["ours", "before"];

/** In the preview of a new stack the owner is not known, and nothing can be its own yet. */
function ownershipIn(labels: Readonly<Record<string, string>>, { owner, platform }: Inputs) {
  const mark = markInLabels(labels);
  if (!hasUnknown(owner)) return ownershipOf(mark, owner);
  const nobody: Owner = { platform, project: platform, stack: "new" };
  return ownershipOf(mark, nobody);
}

async function actionsInForce(kubernetes: Kubernetes, leading: string | undefined) {
  const binding =
    leading === undefined
      ? undefined
      : await kubernetes.find({ apiVersion: POLICIES, kind: BINDING, name: leading });
  const { spec } = z
    .object({ spec: z.object({ validationActions: policyActions }) })
    .catch({ spec: { validationActions: [...FIRST_ACTIONS] } })
    .parse(binding);
  return spec.validationActions;
}

export const provider = dynamicProvider(definition);

/**
 * Looks, before a platform makes anything in its cluster, in every preview and up: whether
 * somebody else has an object of a name that the platform wants, and what the policies that cover the
 * whole cluster do now. Makes nothing.
 */
export class ClusterClaim extends DynamicResource<typeof definition> {
  declare readonly actions: pulumi.Output<string[]>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
