import { hash } from "node:crypto";
import { sql } from "kysely";
import { InfraError } from "../../core/errors.ts";
import { parseSlug } from "../../core/slug.ts";
import { type AuditEvent, MultiWriter } from "../audit/log.ts";
import type { ApiKeyRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import type { Role } from "../../core/identity.ts";
import { type Key, newKeyText, parseKeyText, sameHash } from "./key.ts";

interface NewKey {
  readonly name: string;
  readonly role: Role;
  /** The slug of the only project that the key is valid for. The project need not exist yet. */
  readonly project?: string | null;
  /** In ms. Default: until the key is revoked. */
  readonly lifetime?: number;
}

/** Safe in logs and in the audit log, and easy to type. */
const NAME = /^[a-z0-9][\w.@-]{0,99}$/i;

/** The API keys. The database stores a hash of each secret. */
export class Keys {
  readonly #store: Store;
  readonly #audit: MultiWriter;

  constructor(store: Store) {
    this.#store = store;
    this.#audit = new MultiWriter(store);
  }

  /**
   * Returns the key's text, which cannot be retrieved later. Rejects with RDEV_CONFLICT if the name is
   * taken, RDEV_REQUEST if the name is invalid, and RDEV_SLUG if the project is not a slug.
   */
  async create(
    { name, role, project = null, lifetime }: NewKey,
    actor: string,
  ): Promise<{ key: Key; text: string }> {
    if (!NAME.test(name)) throw invalidName(name);
    if (project !== null) parseSlug(project);
    const { id, text, hash: secretHash } = newKeyText();
    const expiresAt = lifetime === undefined ? null : new Date(Date.now() + lifetime);
    const row = await this.#store.transaction(async (transaction) => {
      const inserted = await transaction
        .insertInto("api_keys")
        .values({ id, name, role, project, hash: secretHash, expires_at: expiresAt })
        .onConflict((conflict) =>
          conflict.column("name").where("revoked_at", "is", null).doNothing(),
        )
        .returningAll()
        .executeTakeFirst();
      if (!inserted) throw nameTaken(name);
      await this.#audit.recordIn(transaction, event("key.create", inserted, actor));
      return inserted;
    });
    return { key: keyOf(row), text };
  }

  /** All keys, newest first, including revoked and expired ones. */
  async list(): Promise<Key[]> {
    const rows = await this.#store.run((db) =>
      db.selectFrom("api_keys").selectAll().orderBy("created_at", "desc").orderBy("id").execute(),
    );
    return rows.map(keyOf);
  }

  /** Rejects with RDEV_NOT_FOUND if no active key has this id or name. */
  async revoke(idOrName: string, actor: string): Promise<Key> {
    const row = await this.#store.transaction(async (transaction) => {
      const revoked = await transaction
        .updateTable("api_keys")
        .set({ revoked_at: sql<Date>`now()` })
        .where("revoked_at", "is", null)
        .where((key) => key.or([key("id", "=", idOrName), key("name", "=", idOrName)]))
        .returningAll()
        .executeTakeFirst();
      if (revoked) await this.#audit.recordIn(transaction, event("key.revoke", revoked, actor));
      return revoked;
    });
    if (row) return keyOf(row);
    throw new InfraError(
      "RDEV_NOT_FOUND",
      `No active key has the id or name "${idOrName}". To list the keys: rdev-infra keys list`,
    );
  }

  /** Finds the valid key of a text, and records its use at most once a minute. */
  async authenticate(text: string): Promise<Key | undefined> {
    const parsed = parseKeyText(text);
    if (!parsed) return undefined;
    const row = await this.#store.run((db) =>
      db.selectFrom("api_keys").selectAll().where("id", "=", parsed.id).executeTakeFirst(),
    );
    if (!row || !sameHash(row.hash, parsed.hash)) return undefined;
    const key = keyOf(row);
    if (key.revokedAt || isExpired(key)) return undefined;
    if (!key.lastUsedAt || Date.now() - key.lastUsedAt.getTime() > 60_000) {
      await this.#recordUse(row.id);
    }
    return key;
  }

  async #recordUse(id: string): Promise<void> {
    await this.#store.run((db) =>
      db
        .updateTable("api_keys")
        .set({ last_used_at: sql<Date>`now()` })
        .where("id", "=", id)
        .execute(),
    );
  }
}

/** How long in ms a valid key is cached, and so how long a revoked key may still be accepted. */
const CACHE_MS = 1_000;

/**
 * Caches valid keys for a second, which spares the database most lookups. Invalid keys are not cached,
 * so a flood of them does not fill the memory.
 */
export class KeyCache {
  readonly #keys: Pick<Keys, "authenticate">;
  /** By the SHA-256 of the text, so that no secret stays in memory and lookup times reveal nothing. */
  readonly #cached = new Map<string, { readonly key: Key; readonly until: number }>();

  constructor(keys: Pick<Keys, "authenticate">) {
    this.#keys = keys;
  }

  /** Finds the key of a text if it is valid, or was valid within the last second. */
  async authenticate(text: string): Promise<Key | undefined> {
    const digest = digestOf(text);
    const cached = this.#cached.get(digest);
    if (cached && performance.now() < cached.until && !isExpired(cached.key)) return cached.key;
    const key = await this.#keys.authenticate(text);
    if (key) this.#cached.set(digest, { key, until: performance.now() + CACHE_MS });
    else this.#cached.delete(digest);
    return key;
  }

  /** Whether the key was valid at its last lookup. */
  has(text: string): boolean {
    return this.#cached.has(digestOf(text));
  }
}

function digestOf(text: string): string {
  return hash("sha256", text, "base64");
}

function isExpired({ expiresAt }: Pick<Key, "expiresAt">): boolean {
  return expiresAt !== null && expiresAt.getTime() <= Date.now();
}

function event(action: string, row: ApiKeyRow, actor: string): AuditEvent {
  const { id, name, role, project, expires_at } = row;
  return {
    action,
    actor,
    component: "keys",
    result: "success",
    ...(project !== null && { projectId: project }),
    details: { id, name, role, expires: expires_at },
  };
}

function keyOf(row: ApiKeyRow): Key {
  const { id, name, role, project, created_at, expires_at, last_used_at, revoked_at } = row;
  return {
    id,
    name,
    role,
    project,
    createdAt: created_at,
    expiresAt: expires_at,
    lastUsedAt: last_used_at,
    revokedAt: revoked_at,
  };
}

function invalidName(name: string): InfraError {
  return new InfraError(
    "RDEV_REQUEST",
    `${JSON.stringify(name)} is not a valid key name. Use 1 to 100 letters, digits and . _ - @, ` +
      "starting with a letter or a digit.",
  );
}

function nameTaken(name: string): InfraError {
  return new InfraError(
    "RDEV_CONFLICT",
    `An active key has the name "${name}". Revoke it, or choose another name: the audit log ` +
      "identifies keys by name.",
  );
}
