import { markInLabels } from "../../../core/labels.ts";
import { Kubernetes } from "../../../providers/kubernetes/client.ts";
import { type Look, standing } from "../look.ts";

/** The namespace, which holds all that a project has in the cluster. */
export const kubernetes: Look = {
  system: "kubernetes",
  what: ({ slug }) => `namespace ${slug}`,
  async at({ slug, owner }) {
    const found = await (await Kubernetes.connect()).namespace(slug);
    if (!found) return [];
    const state = found.isTerminating ? `, going: ${found.remains}` : "";
    return [
      { what: `namespace ${slug}${state}`, why: standing(markInLabels(found.labels), owner) },
    ];
  },
};
