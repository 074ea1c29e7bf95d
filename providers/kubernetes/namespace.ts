import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { markInLabels, markLabels, type Labels } from "../../core/labels.ts";
import { NO_OWNER, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Kubernetes } from "./client.ts";
import { deleteNamespace, untilNamespaceGone } from "./namespace-deletion.ts";

const definition = define({
  module: "kubernetes/namespace",
  type: "kubernetes:Namespace",
  noun: "Kubernetes namespace",
  inputs: z.object({
    name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is no DNS label"),
    owner: ownerSchema,
    /** Beside the mark, which is put on always. */
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  attributes: z.object({ uid: z.string() }),
  replaceOn: ["name"],
  secrets: [],
  // Above what the deletion of a namespace may take, which a create may have to wait for.
  deadline: 6 * 60_000,

  connect: () => Kubernetes.connect(),

  async find(kubernetes, { name, owner }) {
    const found = await kubernetes.namespace(name);
    return found && { id: name, ownership: ownershipOf(markInLabels(found.labels), owner) };
  },

  async create(kubernetes, { name, owner }) {
    await kubernetes.createNamespace(name, markLabels(owner));
    return name;
  },

  async apply(kubernetes, name, { owner, labels, annotations }, last) {
    const gone = new InfraError("RDEV_GONE", `There is no namespace ${name}.`);
    let found = await kubernetes.namespace(name);
    if (found?.isTerminating && !last?.uid) {
      await untilNamespaceGone(kubernetes, name, found.uid);
      await kubernetes.createNamespace(name, markLabels(owner));
      found = await kubernetes.namespace(name);
    }
    if (!found || found.isTerminating || (last?.uid && last.uid !== found.uid)) throw gone;
    const { uid } = await kubernetes.applyNamespace(name, found.uid, {
      labels: { ...labels, ...markLabels(owner) },
      annotations,
    });
    return { uid };
  },

  async read(kubernetes, name, { owner, labels, annotations, uid }) {
    const found = await kubernetes.namespace(name);
    if (!found || found.isTerminating || (uid && found.uid !== uid)) return undefined;
    const ownership = ownershipOf(markInLabels(found.labels), owner);
    if (ownership === "others") return undefined;
    return {
      // Without its mark it is nobody's, until the next `up` puts the mark back.
      owner: ownership === "ours" ? owner : NO_OWNER,
      labels: asOn(found.labels, labels),
      annotations: asOn(found.annotations, annotations),
      uid: found.uid,
    };
  },

  async delete(kubernetes, name) {
    await deleteNamespace(kubernetes, name);
  },
});

/** Those that were asked for, as they are on the server; what others added is no drift. */
function asOn(live: Labels, wanted: Labels): Record<string, string> {
  return Object.fromEntries(Object.entries(live).filter(([key]) => Object.hasOwn(wanted, key)));
}

export const provider = dynamicProvider(definition);

/**
 * A namespace that carries this project's mark. Delete deletes it with everything in it, and waits
 * until it is gone. Its id is its name.
 *
 * Not k8s.core.v1.Namespace: that refuses every namespace that exists, also our own after a run that
 * was killed, or takes any (PULUMI_K8S_UPSERT_EXISTING_OBJECTS), also somebody else's.
 */
export class Namespace extends DynamicResource<typeof definition> {
  declare readonly uid: pulumi.Output<string>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
