import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { markInLabels, markLabels, type Labels } from "../../core/labels.ts";
import { NO_OWNER, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Kubernetes } from "./client.ts";
import { deleteNamespace, untilNamespaceGone } from "./namespace-deletion.ts";

const definition = define({
  module: "kubernetes/namespace",
  type: "kubernetes:Namespace",
  noun: "Kubernetes namespace",
  inputs: z.object({
    name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is not a DNS label"),
    owner: ownerSchema,
    /** Added to the mark, which is always set. */
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  attributes: z.object({ uid: z.string() }),
  replaceOn: ["name"],
  secrets: [],
  // A create may have to wait for the deletion of the namespace before it.
  deadline: 6 * 60_000,

  connect: () => Kubernetes.connect(),

  async find(kubernetes, { name, owner }) {
    const object = await kubernetes.namespaces.read(name);
    if (!object) return undefined;
    return { id: name, ownership: ownershipOf(markInLabels(object.labels), owner), object };
  },

  async create(kubernetes, { name, owner }) {
    await kubernetes.namespaces.create(name, markLabels(owner));
    return name;
  },

  async apply(kubernetes, name, { owner, labels, annotations }, last, object) {
    const gone = new InfraError("RDEV_GONE", `There is no namespace ${name}.`);
    let found = object ?? (await kubernetes.namespaces.read(name));
    if (found?.isTerminating && !last?.uid) {
      await untilNamespaceGone(kubernetes, name, found.uid);
      await kubernetes.namespaces.create(name, markLabels(owner));
      found = await kubernetes.namespaces.read(name);
    }
    if (!found || found.isTerminating || (last?.uid && last.uid !== found.uid)) throw gone;
    const { uid } = await kubernetes.namespaces.apply(name, found.uid, {
      labels: { ...labels, ...markLabels(owner) },
      annotations,
    });
    return { uid };
  },

  async read(kubernetes, name, { owner, labels, annotations, uid }) {
    const found = await kubernetes.namespaces.read(name);
    if (!found || found.isTerminating || (uid && found.uid !== uid)) return undefined;
    const ownership = ownershipOf(markInLabels(found.labels), owner);
    if (ownership === "others") return undefined;
    return {
      // A missing mark is drift, which the next `up` repairs.
      owner: ownership === "ours" ? owner : NO_OWNER,
      labels: wantedKeysOf(found.labels, labels),
      annotations: wantedKeysOf(found.annotations, annotations),
      uid: found.uid,
    };
  },

  async delete(kubernetes, name) {
    await deleteNamespace(kubernetes, name);
  },
});

/** The live values of the wanted keys. A key that others added is not drift. */
function wantedKeysOf(live: Labels, wanted: Labels): Record<string, string> {
  return Object.fromEntries(Object.entries(live).filter(([key]) => Object.hasOwn(wanted, key)));
}

export const provider = dynamicProvider(definition);

/**
 * A namespace with this project's mark. Its id is its name. Delete deletes it with everything in it,
 * and waits until it is gone.
 *
 * Not k8s.core.v1.Namespace: that refuses every existing namespace, even our own after a killed run.
 * With PULUMI_K8S_UPSERT_EXISTING_OBJECTS it adopts every namespace, even somebody else's.
 */
export class Namespace extends dynamicResource(definition) {}
