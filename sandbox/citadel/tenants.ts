import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { CitadelError, parseBody } from "./http.ts";
import type { Logs } from "./logs.ts";

export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly organization: string;
  readonly created_at: string;
  readonly metadata: Record<string, string>;
}

/** The tenants whose logs a query covers. */
export type QueryScope =
  | { readonly kind: "tenant"; readonly id: string }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "organization" };

/** The tenants (environments) and tenant groups of one organization. */
export class Tenants {
  readonly organization: string;
  readonly #tenants = new Map<string, Tenant>();
  readonly #groups = new Map<string, Set<string>>();

  constructor(organization: string) {
    this.organization = organization;
  }

  /** Adds a tenant, or replaces the tenant of the same id. */
  put(tenant: Tenant): void {
    this.#tenants.set(tenant.id, tenant);
  }

  get(id: string): Tenant | undefined {
    return this.#tenants.get(id.toLowerCase());
  }

  /** All tenants, sorted by slug. */
  list(): Tenant[] {
    return [...this.#tenants.values()].sort((a, b) => (a.slug < b.slug ? -1 : 1));
  }

  delete(id: string): void {
    this.#tenants.delete(id);
    for (const members of this.#groups.values()) members.delete(id);
  }

  /** Returns true if the group is new. */
  putGroup(name: string): boolean {
    if (this.#groups.has(name)) return false;
    this.#groups.set(name, new Set());
    return true;
  }

  /** The ids of a group's tenants; undefined if there is no such group. */
  members(group: string): Set<string> | undefined {
    return this.#groups.get(group);
  }

  /** The ids of the tenants in a scope. */
  idsIn(scope: QueryScope): ReadonlySet<string> {
    if (scope.kind === "tenant") return new Set([scope.id]);
    if (scope.kind === "group") return this.members(scope.name) ?? new Set();
    return new Set(this.#tenants.keys());
  }
}

/** The format of tenant slugs and group names: a DNS label. */
const label = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    "must be 1 to 63 of a-z, 0-9 and hyphens, begin with a letter and not end with a hyphen",
  );

const name = z.string().trim().min(1).max(200);
const metadata = z
  .record(z.string().min(1).max(64), z.string().max(256))
  .refine((entries) => Object.keys(entries).length <= 16, "at most 16 entries");

const newTenant = z.strictObject({
  slug: label,
  name,
  organization: z.string(),
  metadata: metadata.default({}),
});
const tenantPatch = z.strictObject({ name, metadata }).partial();

export function tenantRoutes(app: FastifyInstance, tenants: Tenants, logs: Logs): void {
  app.post("/api/v1/tenants", async (request, reply) => {
    const wanted = parseBody(newTenant, request.body, 422);
    if (wanted.organization !== tenants.organization) {
      throw new CitadelError(422, `organization: this key has none called ${wanted.organization}`);
    }
    const existing = bySlug(tenants, wanted.slug)[0];
    if (existing) {
      const text = `the slug ${wanted.slug} exists in ${wanted.organization}`;
      throw new CitadelError(409, text, { id: existing.id });
    }
    const tenant = { id: randomUUID(), ...wanted, created_at: new Date().toISOString() };
    tenants.put(tenant);
    return reply.code(201).send(tenant);
  });

  app.get("/api/v1/tenants", async (request) => {
    const { slug } = request.query as { slug?: string };
    return { tenants: slug === undefined ? tenants.list() : bySlug(tenants, slug) };
  });

  app.get("/api/v1/tenants/:id", async (request) => tenantOf(tenants, request));

  app.patch("/api/v1/tenants/:id", async (request) => {
    const patch = parseBody(tenantPatch, request.body, 422);
    const tenant = { ...tenantOf(tenants, request), ...patch };
    tenants.put(tenant);
    return tenant;
  });

  app.delete("/api/v1/tenants/:id", async (request, reply) => {
    const { id } = tenantOf(tenants, request);
    tenants.delete(id);
    logs.deleteAll(id);
    return reply.code(204).send();
  });

  app.put("/api/v1/tenant-groups/:name", async (request, reply) => {
    const { name: group } = parseBody(z.object({ name: label }), request.params, 422);
    const isNew = tenants.putGroup(group);
    return reply.code(isNew ? 201 : 200).send(groupOf(tenants, request));
  });

  app.get("/api/v1/tenant-groups/:name", async (request) => groupOf(tenants, request));

  app.put("/api/v1/tenant-groups/:name/tenants/:id", async (request, reply) => {
    const { name: group } = groupOf(tenants, request);
    tenants.members(group)?.add(tenantOf(tenants, request).id);
    return reply.code(204).send();
  });

  // Idempotent: neither the group nor the tenant has to exist.
  app.delete("/api/v1/tenant-groups/:name/tenants/:id", async (request, reply) => {
    const { name: group, id } = request.params as { name: string; id: string };
    tenants.members(group)?.delete(id.toLowerCase());
    return reply.code(204).send();
  });
}

function bySlug(tenants: Tenants, slug: string): Tenant[] {
  return tenants.list().filter((tenant) => tenant.slug === slug);
}

function tenantOf(tenants: Tenants, request: FastifyRequest): Tenant {
  const { id } = request.params as { id: string };
  const tenant = tenants.get(id);
  if (!tenant) throw new CitadelError(404, `no tenant ${id}`);
  return tenant;
}

function groupOf(tenants: Tenants, request: FastifyRequest): { name: string; tenants: string[] } {
  const { name: group } = request.params as { name: string };
  const members = tenants.members(group);
  if (!members) throw new CitadelError(404, `no tenant group ${group}`);
  return { name: group, tenants: [...members].sort() };
}
