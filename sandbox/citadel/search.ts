import type { FastifyRequest } from "fastify";
import type { Cpl } from "./cpl/ast.ts";
import { CplError } from "./cpl/lexer.ts";
import { parse } from "./cpl/parser.ts";
import { CitadelError } from "./errors.ts";
import type { QueryScope, Store } from "./store.ts";
import { tenantOfHeader } from "./tenant-header.ts";

/** The query of `q`. @throws CitadelError 400, with the column (from 0) of a mistake. */
export function queryOf(request: FastifyRequest): Cpl {
  const { q } = request.query as { q?: string | string[] };
  if (typeof q !== "string") throw new CitadelError(400, "q must be given, once");
  try {
    return parse(q);
  } catch (error) {
    if (!(error instanceof CplError)) throw error;
    const { message, position, found, expected } = error;
    throw new CitadelError(400, `CPL: ${message}`, { position, found, expected });
  }
}

/** The headers' scope. @throws CitadelError 400 for two, 404 for an unknown one. */
export function scopeOf(store: Store, request: FastifyRequest): QueryScope {
  const id = tenantOfHeader(store, request);
  const name = request.headers["x-tenant-group"];
  if (id !== undefined && name !== undefined) {
    throw new CitadelError(400, "give X-Tenant-ID or X-Tenant-Group, not both");
  }
  if (id !== undefined) return { kind: "tenant", id };
  if (name === undefined) return { kind: "organization" };
  if (typeof name !== "string" || !store.hasGroup(name)) {
    throw new CitadelError(404, `no tenant group ${String(name)}`);
  }
  return { kind: "group", name };
}
