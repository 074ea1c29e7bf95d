import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

/** The file with the rights that the stacks need. It is the only list of them. */
export const RIGHTS_FILE = "deploy/rights/kubernetes.yaml";

/** The ClusterRole in that file whose rights the stacks cannot do without. */
export const STACKS_ROLE = "rdev-infra";

/** The Role in that file for what only the service in the cluster needs, in its namespace. */
export const SERVICE_ROLE = "rdev-infra-service";

/** A right, as a SelfSubjectAccessReview asks for it. Without a namespace it means all of them. */
export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly name?: string;
  readonly namespace?: string | undefined;
}

const rule = z.strictObject({
  apiGroups: z.array(z.string()).optional(),
  resources: z.array(z.string()).optional(),
  resourceNames: z.array(z.string()).optional(),
  nonResourceURLs: z.array(z.string()).optional(),
  verbs: z.array(z.string()),
});

export type Rule = z.output<typeof rule>;

const role = z.object({
  kind: z.enum(["ClusterRole", "Role"]),
  metadata: z.object({ name: z.string() }),
  rules: z.array(rule),
});

export type RoleInFile = z.output<typeof role>;

/** The roles in the file. */
export function rolesInFile(): RoleInFile[] {
  const text = readFileSync(new URL(`../../${RIGHTS_FILE}`, import.meta.url), "utf8");
  return parseAllDocuments(text).flatMap((each) => role.safeParse(each.toJS()).data ?? []);
}

/** Every right that the stacks cannot do without, one by one. */
export function neededRights(): Right[] {
  return rightsOf(rolesInFile().find(({ metadata }) => metadata.name === STACKS_ROLE));
}

/** The rights of a role, one by one, without those to paths. */
export function rightsOf(found: RoleInFile | undefined): Right[] {
  return (found?.rules ?? []).flatMap(
    ({ apiGroups = [], resources = [], resourceNames = [undefined], verbs }) =>
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
