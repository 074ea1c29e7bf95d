import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** An API key. */
export interface Key {
  /** 16 hexadecimal digits. Not secret. */
  readonly id: string;
  /** The actor in the audit log. */
  readonly name: string;
  /** A role, unless a newer version created the key with one that this version does not know. */
  readonly role: string;
  /** The slug of the only project that the key is valid for; null: all projects. */
  readonly project: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  /** Updated at most once a minute. */
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

/** `rdk_<id>_<secret>`. The secret has 256 random bits. */
const TEXT = /^rdk_([0-9a-f]{16})_([\w-]{43})$/;

interface KeyText {
  readonly id: string;
  /** Shown once, and not stored. */
  readonly text: string;
  readonly hash: Buffer;
}

export function newKeyText(): KeyText {
  const id = randomBytes(8).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  return { id, text: `rdk_${id}_${secret}`, hash: hashOf(secret) };
}

/** Undefined if the text does not have the format of a key. */
export function parseKeyText(text: string): Pick<KeyText, "id" | "hash"> | undefined {
  const [, id, secret] = TEXT.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, hash: hashOf(secret) };
}

/** Compares in constant time, so timing reveals nothing about the key. */
export function sameHash(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * A plain hash instead of bcrypt: nobody can guess 256 random bits, so a slow hash would only slow
 * down each request.
 */
function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
