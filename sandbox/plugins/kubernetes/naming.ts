/** Autonaming: names for objects that the program does not name. */
import { randomBytes } from "node:crypto";
import { withAt } from "../property-path.ts";
import { isObject, type Properties } from "../values.ts";
import { metadataOf } from "./identity.ts";

/** Marks an autonamed object, by the official plugin's annotation. */
const AUTONAMED = "pulumi.com/autonamed";

export const isAutonamed = (object: Properties): boolean =>
  metadataOf(object).annotations[AUTONAMED] === "true";

/**
 * Adds a name to inputs without one: the old name if the object is autonamed, else `proposed`, else
 * the resource's name with 8 random hex digits.
 */
export function withName(
  inputs: Properties,
  olds: Properties,
  resourceName: string,
  proposed?: string,
): Properties {
  const { metadata = null } = inputs;
  // Unknown metadata may still turn out to have a name.
  if (metadata !== null && !isObject(metadata)) return inputs;
  if (metadataOf(inputs).name !== undefined) return inputs;
  const old = isAutonamed(olds) ? metadataOf(olds).name : undefined;
  const name = old ?? proposed ?? `${resourceName}-${randomBytes(4).toString("hex")}`;
  const named = withAt(inputs, ["metadata", "name"], name);
  return withAt(named, ["metadata", "annotations", AUTONAMED], "true");
}
