import { createHmac, timingSafeEqual } from "node:crypto";

const HEADER = /^sha256=([0-9a-f]{64})$/i;

/**
 * Whether Citadel sent this: `header` is X-Citadel-Signature, `sha256=<hex HMAC-SHA256(secret, body)>`
 * (Citadel's public contract). `rawBody` is the body as it came, before any parsing: other white space
 * is another signature. Takes the same time wherever a signature differs.
 */
export function verifyCitadelSignature(
  rawBody: string | Uint8Array,
  header: string | undefined,
  secret: string,
): boolean {
  // Anyone can sign with an empty secret.
  if (secret === "") throw new RangeError("the secret is empty");
  const [, hex] = HEADER.exec(header ?? "") ?? [];
  if (hex === undefined) return false;
  const wanted = createHmac("sha256", secret).update(rawBody).digest();
  return timingSafeEqual(wanted, Buffer.from(hex, "hex"));
}
