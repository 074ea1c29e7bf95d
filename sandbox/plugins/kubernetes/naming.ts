/** Names for objects whose program gives them none. */
import { randomBytes } from "node:crypto";
import { withAt } from "../property-path.ts";
import { isObject, type Properties } from "../values.ts";
import { metadataOf } from "./identity.ts";

/** Marks an object whose name was made here; the same annotation as the official plugin's. */
const AUTONAMED = "pulumi.com/autonamed";

export const isAutonamed = (object: Properties): boolean =>
  metadataOf(object).annotations[AUTONAMED] === "true";

/**
 * Gives the inputs a name: the old one where that was made here, else `proposed` or the resource's
 * own with 8 random hex digits.
 */
export function withName(
  inputs: Properties,
  olds: Properties,
  resourceName: string,
  proposed?: string,
): Properties {
  const { metadata = null } = inputs;
  // Metadata that are known only after the update, as a whole, may bring their own name.
  if (metadata !== null && !isObject(metadata)) return inputs;
  if (metadataOf(inputs).name !== undefined) return inputs;
  const old = isAutonamed(olds) ? metadataOf(olds).name : undefined;
  const name = old ?? proposed ?? `${resourceName}-${randomBytes(4).toString("hex")}`;
  const named = withAt(inputs, ["metadata", "name"], name);
  return withAt(named, ["metadata", "annotations", AUTONAMED], "true");
}
