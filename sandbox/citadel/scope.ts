import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { Cpl } from "./cpl/ast.ts";
import { CplError } from "./cpl/lexer.ts";
import { parse } from "./cpl/parser.ts";
import { CitadelError } from "./http.ts";
import type { QueryScope, Tenants } from "./tenants.ts";

/** The tenant of the header `X-Tenant-ID`, if there is one. @throws CitadelError 400 no UUID, 404 unknown. */
export function tenantOfHeader(tenants: Tenants, request: FastifyRequest): string | undefined {
  const id = request.headers["x-tenant-id"];
  if (id === undefined) return undefined;
  const parsed = z.guid().safeParse(id);
  if (!parsed.success) {
    throw new CitadelError(400, `X-Tenant-ID must be a UUID, not "${String(id)}"`);
  }
  const tenant = tenants.get(parsed.data);
  if (!tenant) throw new CitadelError(404, `no tenant ${parsed.data}`);
  return tenant.id;
}

/** The scope that the headers ask for. @throws CitadelError 400 for two scopes, 404 for an unknown one. */
export function scopeOf(tenants: Tenants, request: FastifyRequest): QueryScope {
  const id = tenantOfHeader(tenants, request);
  const name = request.headers["x-tenant-group"];
  if (id !== undefined && name !== undefined) {
    throw new CitadelError(400, "send X-Tenant-ID or X-Tenant-Group, not both");
  }
  if (id !== undefined) return { kind: "tenant", id };
  if (name === undefined) return { kind: "organization" };
  if (typeof name !== "string" || !tenants.members(name)) {
    throw new CitadelError(404, `no tenant group ${String(name)}`);
  }
  return { kind: "group", name };
}

/** The parsed query `q`. @throws CitadelError 400 with the column (from 0) of a syntax error. */
export function queryOf(request: FastifyRequest): Cpl {
  const { q } = request.query as { q?: string | string[] };
  if (typeof q !== "string") throw new CitadelError(400, "q must be given exactly once");
  try {
    return parse(q);
  } catch (error) {
    if (!(error instanceof CplError)) throw error;
    const { message, position, found, expected } = error;
    throw new CitadelError(400, `CPL: ${message}`, { position, found, expected });
  }
}
