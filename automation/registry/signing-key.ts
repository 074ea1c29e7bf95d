import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";
import type { Connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";

/** What the registry's tokens are signed with. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** The public key's thumbprint (RFC 7638). */
  readonly id: string;
  /** The public key for registries that take a JWK set, as distribution. */
  readonly jwk: JWK;
  /** The public key for registries that take PEM, as Zot. */
  readonly pem: string;
}

const MAKE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";

/** The key of REGISTRY_TOKEN_KEY or REGISTRY_TOKEN_KEY_FILE. Throws RDEV_CONNECTION. */
export async function readSigningKey({
  key,
  keyFile,
}: Pick<Connection<"registryTokens">, "key" | "keyFile">): Promise<SigningKey> {
  const variable = keyFile === undefined ? "REGISTRY_TOKEN_KEY" : "REGISTRY_TOKEN_KEY_FILE";
  return signingKey(keyFile === undefined ? (key ?? "") : await contentOf(keyFile), variable);
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new InfraError(
      "RDEV_CONNECTION",
      `REGISTRY_TOKEN_KEY_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
}

/** A key from its PEM. `variable` names the place that it came from. */
export async function signingKey(pem: string, variable: string): Promise<SigningKey> {
  const privateKey = parsed(pem);
  if (privateKey?.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new InfraError(
      "RDEV_CONNECTION",
      `${variable} holds no private key of the curve P-256 in PEM. This makes one: ${MAKE}`,
    );
  }
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const id = await calculateJwkThumbprint(jwk);
  return {
    ...{ privateKey, id },
    jwk: { ...jwk, kid: id, use: "sig", alg: "ES256" },
    pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

function parsed(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
