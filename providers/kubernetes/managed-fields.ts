/** Reads and changes metadata.managedFields, the API server's record of who manages which field. */
import { z } from "zod";

type Fields = { readonly [key: string]: Fields };
const fields: z.ZodType<Fields> = z.lazy(() => z.record(z.string(), fields));

const entries = z.array(
  z.looseObject({
    manager: z.string().default(""),
    operation: z.string().default(""),
    subresource: z.string().default(""),
    /** Missing after a change through the subresource `scale`. */
    time: z.string().optional(),
    fieldsV1: fields.default({}),
  }),
);

export type ManagedFields = z.output<typeof entries>[number];

/** Parses the records of an object, from JSON or with the dates that the client library makes of times. */
export function managedFieldsOf(records: unknown): ManagedFields[] {
  return entries.parse(JSON.parse(JSON.stringify(records ?? [])));
}

/**
 * The field manager of the official Pulumi plugin when it creates an object. Its next update adopts
 * every field of this manager (pulumi-kubernetes, provider/pkg/await/await.go).
 */
export const PULUMI = "pulumi-kubernetes";

const isPulumi = ({ manager }: ManagedFields): boolean => manager.startsWith(PULUMI);

/** The fields of an entry as paths: `spec.template.spec.containers[app].image`. */
export function pathsIn(held: Fields, prefix = ""): string[] {
  return Object.entries(held).flatMap(([key, below]) => {
    if (key === ".") return [];
    const path = key.startsWith("f:")
      ? `${prefix}${prefix && "."}${key.slice(2)}`
      : `${prefix}[${itemName(key)}]`;
    const inner = pathsIn(below, path);
    return inner.length > 0 ? inner : [path];
  });
}

/** A list item is encoded as `k:{"name":"app"}`, `v:"value"` or `i:0`. */
function itemName(key: string): string {
  const text = key.slice(2);
  if (!key.startsWith("k:")) return text.replace(/^"(.*)"$/, "$1");
  return Object.values(JSON.parse(text) as Record<string, unknown>).join(",");
}

/** Fields that another manager than Pulumi holds. */
export interface Foreign {
  readonly entry: ManagedFields;
  readonly paths: readonly string[];
}

/** The fields for which `isOurs` is true and that others hold, except the status of controllers. */
export function foreignFields(
  all: readonly ManagedFields[],
  isOurs: (path: string) => boolean,
): Foreign[] {
  return all
    .filter((entry) => !isPulumi(entry) && entry.subresource !== "status")
    .map((entry) => ({ entry, paths: pathsIn(entry.fieldsV1).filter(isOurs) }))
    .filter(({ paths }) => paths.length > 0);
}

/**
 * The fields of a Deployment that the program decides: its finalizers, which could block its deletion,
 * and its whole spec except the image, which CI sets, the time of a restart, and the replicas if there
 * is an autoscaler.
 */
export function claims(container: string, isAutoscaled: boolean): (path: string) => boolean {
  const app = `spec.template.spec.containers[${container}]`;
  const free = new Set([
    `${app}.image`,
    `${app}.name`,
    app,
    "spec.template.metadata.annotations.kubectl.kubernetes.io/restartedAt",
    ...(isAutoscaled ? ["spec.replicas"] : []),
  ]);
  return (path) =>
    (path.startsWith("spec.") && !free.has(path)) || path.startsWith("metadata.finalizers");
}

/** The records after Pulumi has become the manager of the foreign fields. */
export function takenOver(
  all: readonly ManagedFields[],
  foreign: readonly Foreign[],
): ManagedFields[] {
  const taken = new Set(foreign.map(({ entry }) => entry));
  const isCreation = (entry: ManagedFields) =>
    entry.manager === PULUMI && entry.operation === "Update" && entry.subresource === "";
  const own = all.find(isCreation) ?? foreign[0]?.entry;
  if (!own) return [...all];
  const fieldsV1 = [own, ...taken].map((entry) => entry.fieldsV1).reduce(union);
  const { subresource: _, ...rest } = own;
  return [
    ...all.filter((entry) => !taken.has(entry) && !isCreation(entry)),
    { ...rest, subresource: "", manager: PULUMI, operation: "Update", fieldsV1 },
  ];
}

function union(a: Fields, b: Fields): Fields {
  return Object.entries(b).reduce<Fields>((all, [key, below]) => {
    const already = all[key];
    return { ...all, [key]: already ? union(already, below) : below };
  }, a);
}
