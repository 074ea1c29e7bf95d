import type * as pulumi from "@pulumi/pulumi";
import { RandomId } from "@pulumi/random";
import type { Owner } from "../core/ownership.ts";

/**
 * The owner of the objects of this stack. The id is born with the stack and kept in its state, so
 * another stack of the same name, on another platform or after a lost state, has another one.
 */
export function stackOwner(platform: string, project: string): pulumi.Output<Owner> {
  const { hex } = new RandomId("stack-id", { byteLength: 8 });
  return hex.apply((stack) => ({ platform, project, stack }));
}
