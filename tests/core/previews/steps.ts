import type { Step } from "../../../core/previews/step.ts";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
/** A secret, in the form of the engine's events. */
export const SECRET = {
  [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270",
  ciphertext: "W3NlY3JldF0=",
};
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
export const DATABASE = "pulumi-nodejs:dynamic/postgres:Database";

/** A step on a resource, with inputs before and after. */
export function step(
  type: string,
  op: string,
  before?: Record<string, unknown>,
  after?: Record<string, unknown>,
  more: Partial<Step> = {},
): Step {
  const state = (inputs: Record<string, unknown>) => ({ inputs, outputs: inputs });
  return {
    op,
    urn: `urn:pulumi:staging.shop::rdev::${type}::shop`,
    type,
    custom: true,
    replaceKeys: [],
    ...(before && { old: state(before) }),
    ...(after && { new: state(after) }),
    ...more,
  };
}
