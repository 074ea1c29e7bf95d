import { createHmac, timingSafeEqual } from "node:crypto";

/** The platform's own environment in Citadel. */
export const PLATFORM_ENVIRONMENT = "rdev-platform";
/** The tenant groups: the platform's environment is in one, the projects' environments in the other. */
export const PLATFORM_GROUP = "platform";
export const PROJECTS_GROUP = "projects";

const SIGNATURE_HEADER = /^sha256=([0-9a-f]{64})$/i;

/**
 * Returns whether Citadel signed an alert. For programs that receive the alerts of `alertWebhook`.
 * `header` is X-Citadel-Signature: `sha256=<hex HMAC-SHA256(secret, body)>` (Citadel's public
 * contract). `rawBody` is the body before any parsing: other white space gives another signature.
 * Compares in constant time.
 */
export function verifyCitadelSignature(
  rawBody: string | Uint8Array,
  header: string | undefined,
  secret: string,
): boolean {
  // Anyone can sign with an empty secret.
  if (secret === "") throw new RangeError("the secret is empty");
  const [, hex] = SIGNATURE_HEADER.exec(header ?? "") ?? [];
  if (hex === undefined) return false;
  const expected = createHmac("sha256", secret).update(rawBody).digest();
  return timingSafeEqual(expected, Buffer.from(hex, "hex"));
}
