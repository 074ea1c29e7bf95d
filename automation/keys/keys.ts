import { sql } from "kysely";
import { InfraError } from "../../core/errors.ts";
import { parseSlug } from "../../core/slug.ts";
import { type AuditEvent, MultiWriter } from "../audit/log.ts";
import type { ApiKeyRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { type Key, newKeyText, parseKeyText, type Role, sameHash } from "./key.ts";

export interface NewKey {
  readonly name: string;
  readonly role: Role;
  /** The slug of the only project that it is good for; it need not exist yet. */
  readonly project?: string | null;
  /** How long it is good, in ms; else until it is revoked. */
  readonly lifetime?: number;
}

/** It stands in logs and in the audit trail, and is typed by people. */
const NAME = /^[a-z0-9][\w.@-]{0,99}$/i;

/** The API's keys. What is secret in them is kept as a hash only. */
export class Keys {
  readonly #store: Store;
  readonly #audit: MultiWriter;

  constructor(store: Store) {
    this.#store = store;
    this.#audit = new MultiWriter(store);
  }

  /**
   * The key's text is in this answer and never again. RDEV_CONFLICT: the name is taken;
   * RDEV_REQUEST, RDEV_SLUG: it is no name, or no slug.
   */
  async create(
    { name, role, project = null, lifetime }: NewKey,
    actor: string,
  ): Promise<{ key: Key; text: string }> {
    if (!NAME.test(name)) throw noName(name);
    if (project !== null) parseSlug(project);
    const { id, text, hash } = newKeyText();
    const expiresAt = lifetime === undefined ? null : new Date(Date.now() + lifetime);
    const row = await this.#store.transaction(async (transaction) => {
      const made = await transaction
        .insertInto("api_keys")
        .values({ id, name, role, project, hash, expires_at: expiresAt })
        .onConflict((conflict) =>
          conflict.column("name").where("revoked_at", "is", null).doNothing(),
        )
        .returningAll()
        .executeTakeFirst();
      if (!made) throw taken(name);
      await this.#audit.recordIn(transaction, event("key.create", made, actor));
      return made;
    });
    return { key: keyOf(row), text };
  }

  /** Newest first, with those that are revoked or expired. */
  async list(): Promise<Key[]> {
    const rows = await this.#store.run((db) =>
      db.selectFrom("api_keys").selectAll().orderBy("created_at", "desc").orderBy("id").execute(),
    );
    return rows.map(keyOf);
  }

  /** By id or by name. RDEV_NOT_FOUND: there is none that is not revoked already. */
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
      `No key that is not revoked has the id or the name "${idOrName}". ` +
        "rdev-infra keys list shows them.",
    );
  }

  /** The key of a text, where it is one that is good now. Notes its use, once a minute. */
  async authenticate(text: string): Promise<Key | undefined> {
    const given = parseKeyText(text);
    if (!given) return undefined;
    const row = await this.#store.run((db) =>
      db.selectFrom("api_keys").selectAll().where("id", "=", given.id).executeTakeFirst(),
    );
    if (!row || !sameHash(row.hash, given.hash)) return undefined;
    if (row.revoked_at || (row.expires_at && row.expires_at.getTime() <= Date.now())) {
      return undefined;
    }
    if (!row.last_used_at || Date.now() - row.last_used_at.getTime() > 60_000) {
      await this.#noteUse(row.id);
    }
    return keyOf(row);
  }

  async #noteUse(id: string): Promise<void> {
    await this.#store.run((db) =>
      db
        .updateTable("api_keys")
        .set({ last_used_at: sql<Date>`now()` })
        .where("id", "=", id)
        .execute(),
    );
  }
}

function event(action: string, row: ApiKeyRow, actor: string): AuditEvent {
  const { id, name, role, project, expires_at } = row;
  return {
    ...{ action, actor, component: "keys", result: "success" },
    ...(project !== null && { projectId: project }),
    details: { id, name, role, expires: expires_at },
  };
}

function keyOf(row: ApiKeyRow): Key {
  const { id, name, role, project, created_at, expires_at, last_used_at, revoked_at } = row;
  return {
    ...{ id, name, role, project, createdAt: created_at, expiresAt: expires_at },
    ...{ lastUsedAt: last_used_at, revokedAt: revoked_at },
  };
}

function noName(name: string): InfraError {
  return new InfraError(
    "RDEV_REQUEST",
    `${JSON.stringify(name)} is no name for a key: 1 to 100 letters, digits and . _ - @, ` +
      "of which the first is a letter or a digit.",
  );
}

function taken(name: string): InfraError {
  return new InfraError(
    "RDEV_CONFLICT",
    `A key of the name "${name}" exists. Revoke it, or choose another name: ` +
      "the audit trail tells keys apart by their names.",
  );
}
