/** The field managers of an object, from the API server's records (metadata.managedFields). */
import { parsePath, type Path } from "../../../core/engine-values.ts";
import { getAt, withAt } from "../property-path.ts";
import { isObject, same, type Json, type Properties } from "../values.ts";

interface Entry extends Properties {
  manager: string;
  operation: string;
  fieldsV1: Properties;
}

/** The field manager of creations. The first update takes its fields over by server-side apply. */
export const CREATOR = "pulumi-kubernetes";

/** The names under which versions of the official plugin created objects. */
const CREATORS: readonly string[] = [CREATOR, `${CREATOR}.exe`, "pulumi-resource-kubernetes"];

/**
 * The managers whose fields an update takes over, by prefix. Like the official plugin, it takes over
 * its own creations and changes by kubectl.
 */
const TAKEN_OVER: readonly { readonly name: string; readonly operations: readonly string[] }[] = [
  { name: "kubectl", operations: ["Apply", "Update"] },
  { name: "before-first-apply", operations: ["Update"] },
  ...CREATORS.map((name) => ({ name, operations: ["Update"] })),
];

export function managedFieldsOf(object: Properties): Entry[] {
  const entries = getAt(object, ["metadata", "managedFields"]);
  return Array.isArray(entries) ? (entries as Entry[]) : [];
}

const isTakenOver = ({ manager, operation, subresource }: Entry): boolean =>
  (subresource ?? "") === "" &&
  TAKEN_OVER.some(
    ({ name, operations }) => manager.startsWith(name) && operations.includes(operation),
  );

/** Whether an update will take over fields. */
export const hasFieldsToTakeOver = (live: Properties, manager: string): boolean =>
  managedFieldsOf(live).some((entry) => isTakenOver(entry) && !isOwn(entry, manager));

/**
 * Whether a dry run must ignore conflicts, because the update will take over fields that the plugin
 * created. Like the official plugin, a preview still fails for fields that kubectl changed.
 */
export const wasCreatedByPlugin = (live: Properties): boolean =>
  managedFieldsOf(live).some(
    ({ manager, operation }) => operation === "Update" && CREATORS.includes(manager),
  );

const isOwn = (entry: Entry, manager: string): boolean =>
  entry.manager === manager && entry.operation === "Apply";

/** The records after `manager` took over the fields of the creator and of kubectl. */
export function takeOver(live: Properties, manager: string): Json | undefined {
  if (!hasFieldsToTakeOver(live, manager)) return undefined;
  const entries = managedFieldsOf(live);
  const taken = entries.filter((entry) => isTakenOver(entry) || isOwn(entry, manager));
  const others = entries.filter((entry) => !taken.includes(entry));
  const [first] = taken;
  const fieldsV1 = taken.map((entry) => entry.fieldsV1).reduce(union);
  return [...others, { ...(first ?? {}), manager, operation: "Apply", fieldsV1 }];
}

function union(a: Properties, b: Properties): Properties {
  return Object.entries(b).reduce<Properties>((all, [key, fields]) => {
    const already = all[key];
    const both = isObject(already) && isObject(fields) ? union(already, fields) : fields;
    return { ...all, [key]: both };
  }, a);
}

/**
 * The inputs of an apply that keeps ignored changes. A field that only another manager owns is left
 * out, so that it stays with that manager. Any other ignored field keeps its live value.
 */
export function keepIgnored(
  inputs: Properties,
  live: Properties,
  ignoreChanges: readonly string[],
  manager: string,
): Properties {
  const entries = managedFieldsOf(live);
  const ours = entries.filter((entry) => entry.manager === manager);
  const theirs = entries.filter((entry) => entry.manager !== manager);
  return ignoreChanges
    .flatMap((text) => expand(parsePath(text), inputs))
    .reduce((object, path) => {
      const livePath = locate(path, inputs, live);
      const owns = (entry: Entry) => hasField(entry.fieldsV1, livePath, live);
      if (theirs.some(owns) && !ours.some(owns)) return withAt(object, path, undefined);
      const value = getAt(live, livePath);
      return value === undefined ? object : withAt(object, path, value);
    }, inputs);
}

/** Expands `[*]` to the paths of all items. */
function expand(path: Path, inputs: Json | undefined): Path[] {
  const star = path.indexOf("*");
  if (star < 0) return [path];
  const list = getAt(inputs, path.slice(0, star));
  const names = Array.isArray(list) ? list.keys() : isObject(list) ? Object.keys(list) : [];
  return [...names].flatMap((name) =>
    expand([...path.slice(0, star), name, ...path.slice(star + 1)], inputs),
  );
}

/** The same path in the live object. Items of a list are matched by their name, if they have one. */
function locate(path: Path, inputs: Json, live: Json): Path {
  return path.map((part, index) => {
    if (typeof part !== "number") return part;
    const wanted = getAt(inputs, path.slice(0, index + 1));
    const list = getAt(live, path.slice(0, index));
    if (!isObject(wanted) || wanted["name"] === undefined || !Array.isArray(list)) return part;
    const found = list.findIndex((item) => isObject(item) && item["name"] === wanted["name"]);
    return found < 0 ? part : found;
  });
}

/** The records write a field as `f:name`, and an item of a list as `k:{"name":"app"}` or `v:"value"`. */
function hasField(fields: Json | undefined, path: Path, live: Json | undefined): boolean {
  const [part, ...rest] = path;
  if (part === undefined) return true;
  if (!isObject(fields)) return false;
  const at = getAt(live, [part]);
  const key = Object.keys(fields).find((name) =>
    typeof part === "number" ? isItem(name, part, at) : name === `f:${part}`,
  );
  return key !== undefined && hasField(fields[key], rest, at);
}

function isItem(name: string, index: number, item: Json | undefined): boolean {
  if (name === `i:${index}`) return true;
  if (name.startsWith("v:")) return same(JSON.parse(name.slice(2)) as Json, item);
  if (!name.startsWith("k:") || !isObject(item)) return false;
  return Object.entries(JSON.parse(name.slice(2)) as Properties).every(([key, value]) =>
    same(item[key], value),
  );
}
