import { withAt } from "../property-path.ts";
import { isObject, textOf, type Properties } from "../values.ts";
import { isNamespaced, isPatch, metadataOf } from "./identity.ts";

/** Returns what the official plugin refuses before it asks the cluster. */
export function failuresOf(
  type: string,
  inputs: Properties,
): { property: string; reason: string }[] {
  const metadata = isObject(inputs["metadata"]) ? inputs["metadata"] : {};
  const kind = textOf(inputs["kind"]);
  if (!isObject(inputs["metadata"] ?? {})) return [];
  if (kind.endsWith("List") && Array.isArray(inputs["items"])) {
    return [
      {
        property: "kind",
        reason: `${kind} is not an object of its own: use the kinds of its items`,
      },
    ];
  }
  if ((metadata["generateName"] ?? null) !== null) {
    const reason = "is not supported with server-side apply: set metadata.name, or leave both out";
    return [{ property: "metadata.generateName", reason }];
  }
  if (isPatch(type, inputs) && metadataOf(inputs).name === undefined) {
    const reason = "is required: a Patch resource changes an object that exists";
    return [{ property: "metadata.name", reason }];
  }
  return [];
}

/** Adds the default namespace to an object of a namespaced kind. */
export async function withNamespace(
  inputs: Properties,
  defaultNamespace: () => Promise<string>,
): Promise<Properties> {
  const { apiVersion, kind } = inputs;
  if (metadataOf(inputs).namespace !== undefined) return inputs;
  // Only the server knows the scope of a custom kind; the API adds the default namespace if needed.
  if (isNamespaced(textOf(apiVersion), textOf(kind)) !== true) return inputs;
  return withAt(inputs, ["metadata", "namespace"], await defaultNamespace());
}
