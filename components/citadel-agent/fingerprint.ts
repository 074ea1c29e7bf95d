import { scryptSync } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/** In bytes: enough that two values never look the same by chance. */
const LENGTH = 12;

/**
 * A text that changes whenever a key, or what goes with it, changes. It is no secret: it is derived
 * by a function too slow to try keys with, and too short to hold one.
 */
export function fingerprint(key: pulumi.Input<string>, beside: unknown): pulumi.Output<string> {
  return pulumi.unsecret(
    pulumi
      .all([key, pulumi.output(beside)])
      .apply(([secret, salt]) => scryptSync(secret, JSON.stringify(salt), LENGTH).toString("hex")),
  );
}
