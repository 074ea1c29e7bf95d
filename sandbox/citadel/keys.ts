import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { CitadelError } from "./errors.ts";

/** What a key may do. `environments`: tenants and tenant groups. */
export type Scope = "environments" | "ingest" | "query";

/** The keys of one organization. */
export class Keys {
  readonly #scopes = new Map<string, ReadonlySet<Scope>>();

  issue(prefix: string, scopes: readonly Scope[]): string {
    const key = `${prefix}_${randomBytes(20).toString("hex")}`;
    this.#scopes.set(key, new Set(scopes));
    return key;
  }

  /** @throws CitadelError 401 for no key or an unknown one, 403 for one without the scope. */
  demand(authorization: string | undefined, scope: Scope): void {
    const key = /^Bearer (ck_\S+)$/.exec(authorization ?? "")?.[1];
    const scopes = key === undefined ? undefined : this.#scopes.get(key);
    if (!scopes) throw new CitadelError(401, "the API key is missing or not valid");
    if (!scopes.has(scope)) throw new CitadelError(403, `this API key has no scope "${scope}"`);
  }
}

/** Asks for the scope on every call of `app`, before its body is read. */
export function requireScope(app: FastifyInstance, keys: Keys, scope: Scope): void {
  app.addHook("onRequest", async (request) => keys.demand(request.headers.authorization, scope));
}
