import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { Database } from "./database.ts";
import { CitadelError } from "./errors.ts";

/** What a key may do. `environments`: tenants, tenant groups and webhooks. `query`: also annotations. */
export type Scope = "environments" | "ingest" | "query";

/** The keys of one organization. */
export class Keys {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The key of that name, made where there is none yet: `ck_live_…` for `live`. */
  issue(name: string, scopes: readonly Scope[]): string {
    const key = `ck_${name}_${randomBytes(20).toString("hex")}`;
    const insert = "INSERT OR IGNORE INTO keys (key, name, scopes) VALUES (?, ?, ?)";
    this.#database.run(insert, [key, name, scopes.join(" ")]);
    return this.#database.first("SELECT key FROM keys WHERE name = ?", [name])?.["key"] as string;
  }

  /** @throws CitadelError 401 for no key or an unknown one, 403 for one without the scope. */
  demand(authorization: string | undefined, scope: Scope): void {
    const key = /^Bearer (ck_\S+)$/.exec(authorization ?? "")?.[1];
    const found = this.#database.first("SELECT scopes FROM keys WHERE key = ?", [key ?? null]);
    if (!found) throw new CitadelError(401, "the API key is missing or not valid");
    if (!(found["scopes"] as string).split(" ").includes(scope)) {
      throw new CitadelError(403, `this API key has no scope "${scope}"`);
    }
  }
}

/** Asks for the scope on every call of `app`, before its body is read. */
export function requireScope(app: FastifyInstance, keys: Keys, scope: Scope): void {
  app.addHook("onRequest", async (request) => keys.demand(request.headers.authorization, scope));
}
