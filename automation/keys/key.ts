import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** From the least to the most: each may do what those before it may. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Who may do what through the API. */
export interface Key {
  /** 16 hexadecimal digits; no secret. */
  readonly id: string;
  /** For people, and the actor in the audit trail. */
  readonly name: string;
  readonly role: Role;
  /** The slug of the only project that it is good for; null: all. */
  readonly project: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  /** To the minute. */
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

/** `rdk_<id>_<secret>`: 256 random bits after the id that it is looked up by. */
const TEXT = /^rdk_([0-9a-f]{16})_([\w-]{43})$/;

export interface KeyText {
  readonly id: string;
  /** Shown once, and kept nowhere. */
  readonly text: string;
  readonly hash: Buffer;
}

export function newKeyText(): KeyText {
  const id = randomBytes(8).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  return { id, text: `rdk_${id}_${secret}`, hash: hashOf(secret) };
}

/** Undefined for what cannot be a key. */
export function parseKeyText(text: string): Pick<KeyText, "id" | "hash"> | undefined {
  const [, id, secret] = TEXT.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, hash: hashOf(secret) };
}

/** In a time that does not tell where they differ. */
export function sameHash(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

export function mayActAs({ role }: Pick<Key, "role">, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/**
 * Not bcrypt or the like: they make guessing slow, and 256 random bits cannot be guessed at any
 * speed. They would only make every request slow.
 */
function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
