import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";

/** PostgreSQL's own default (scram_iterations). */
const ITERATIONS = 4096;

/**
 * What PostgreSQL itself stores for a password (RFC 5803, src/common/scram-common.c). Given this in
 * place of the password it stores it as it is, so the password reaches neither wire nor server log.
 * Takes ASCII only: for that SASLprep changes nothing.
 */
export async function scramVerifier(password: string, salt = randomBytes(16)): Promise<string> {
  const salted = await promisify(pbkdf2)(password, salt, ITERATIONS, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
