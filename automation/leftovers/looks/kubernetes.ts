import { markedProject } from "../../../core/labels.ts";
import { Kubernetes } from "../../../providers/kubernetes/client.ts";
import { left, type Look } from "../look.ts";

/** The namespace, which holds all that a project has in the cluster. */
export const kubernetes: Look = {
  system: "kubernetes",
  what: ({ slug }) => `namespace ${slug}`,
  async at({ slug }) {
    const found = await (await Kubernetes.connect()).namespace(slug);
    if (!found || markedProject(found.labels) !== slug) return [];
    return left(`namespace ${slug}${found.isTerminating ? `, going: ${found.remains}` : ""}`);
  },
};
