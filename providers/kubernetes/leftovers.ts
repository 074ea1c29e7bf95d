import { markInLabels } from "../../core/labels.ts";
import { type LeftoverProbe, leftOrNotOurs } from "../leftover-probe.ts";
import { Kubernetes } from "./client.ts";

/** Finds the namespace, which holds everything that a project has in the cluster. */
export const leftovers: LeftoverProbe = {
  describe: ({ slug }) => `namespace ${slug}`,
  async find({ slug, owner }) {
    const found = await (await Kubernetes.connect()).namespaces.read(slug);
    if (!found) return [];
    const state = found.isTerminating ? `, terminating: ${found.remains}` : "";
    return [
      { what: `namespace ${slug}${state}`, why: leftOrNotOurs(markInLabels(found.labels), owner) },
    ];
  },
};
