import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";
import type { Connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";

/** The key that signs the registry's tokens. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** The public key's thumbprint (RFC 7638). */
  readonly id: string;
  /** The public key for registries that read a JWK set, like distribution. */
  readonly jwk: JWK;
  /** The public key for registries that read PEM, like Zot. */
  readonly pem: string;
}

const GENERATE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";

/** Reads the key of REGISTRY_TOKEN_KEY or REGISTRY_TOKEN_KEY_FILE. Rejects with RDEV_CONNECTION. */
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

/** Parses a key in PEM. `variable` names its source in the error. */
export async function signingKey(pem: string, variable: string): Promise<SigningKey> {
  const privateKey = parsed(pem);
  if (privateKey?.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new InfraError(
      "RDEV_CONNECTION",
      `${variable} is not a P-256 private key in PEM. To generate one: ${GENERATE}`,
    );
  }
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const id = await calculateJwkThumbprint(jwk);
  return {
    privateKey,
    id,
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
