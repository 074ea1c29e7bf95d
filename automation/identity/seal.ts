import { hkdfSync } from "node:crypto";
import { EncryptJWT, errors, jwtDecrypt } from "jose";
import type { z } from "zod";

type Purpose = "session" | "sign-in";

const ENCRYPTION = "A256GCM";

/** Encrypts the content of cookies, so that browsers can neither read nor change it. */
export class Seal {
  readonly #secret: string;

  /** The secret is the same in all replicas. With a new one, everybody signs in again. */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** The lifetime is in seconds. */
  async close(purpose: Purpose, content: object, lifetime: number): Promise<string> {
    return new EncryptJWT({ content })
      .setProtectedHeader({ alg: "dir", enc: ENCRYPTION })
      .setExpirationTime(Math.floor(Date.now() / 1000) + Math.round(lifetime))
      .encrypt(this.#key(purpose));
  }

  /** Undefined if the text has expired, or was not made here for this purpose. */
  async open<S extends z.ZodType>(
    purpose: Purpose,
    text: string,
    schema: S,
  ): Promise<z.output<S> | undefined> {
    try {
      const { payload } = await jwtDecrypt(text, this.#key(purpose), {
        keyManagementAlgorithms: ["dir"],
        contentEncryptionAlgorithms: [ENCRYPTION],
        requiredClaims: ["exp"],
      });
      return schema.safeParse(payload["content"]).data;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  /** One key a purpose, so that a cookie of one is useless as the other. */
  #key(purpose: Purpose): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", this.#secret, "", `rdev-infra ${purpose}`, 32));
  }
}
