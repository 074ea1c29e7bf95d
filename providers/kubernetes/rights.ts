import { readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

/** The file with the rights that the stacks need. It is the only list of them. */
export const RIGHTS_FILE = "deploy/rights/kubernetes.yaml";

/** The ClusterRole in that file whose rights the stacks cannot do without. */
const NEEDED = "rdev-infra";

/** A right, as a SelfSubjectAccessReview asks for it. Without a namespace it means all of them. */
export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly name?: string;
}

const clusterRole = z.object({
  kind: z.literal("ClusterRole"),
  metadata: z.object({ name: z.literal(NEEDED) }),
  rules: z.array(
    z.object({
      apiGroups: z.array(z.string()),
      resources: z.array(z.string()),
      resourceNames: z.array(z.string()).optional(),
      verbs: z.array(z.string()),
    }),
  ),
});

/** Every right in the file, one by one. */
export async function neededRights(): Promise<Right[]> {
  const text = await readFile(new URL(`../../${RIGHTS_FILE}`, import.meta.url), "utf8");
  const documents = parseAllDocuments(text).map((each) => clusterRole.safeParse(each.toJS()));
  const rules = documents.flatMap(({ data }) => data?.rules ?? []);
  return rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.flatMap((name) =>
          verbs.map((verb) => ({ group, resource, verb, ...(name !== undefined && { name }) })),
        ),
      ),
    ),
  );
}

/** Rights as text, the verbs of one resource together: `create, patch secrets`. */
export function rightsText(rights: readonly Right[]): string {
  const byResource = Map.groupBy(rights, ({ group, resource, name }) =>
    [resource, group && `.${group}`, name === undefined ? "" : ` ${name}`].join(""),
  );
  return [...byResource]
    .map(([resource, each]) => `${each.map(({ verb }) => verb).join(", ")} ${resource}`)
    .join("; ");
}
