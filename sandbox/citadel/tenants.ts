import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { CitadelError, parseBody } from "./errors.ts";
import type { Store, Tenant } from "./store.ts";

/** Slugs of tenants and names of groups: a DNS label. */
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

/** Tenants (environments) and tenant groups. */
export function tenantRoutes(app: FastifyInstance, store: Store): void {
  app.post("/api/v1/tenants", async (request, reply) => {
    const wanted = parseBody(newTenant, request.body, 422);
    if (wanted.organization !== store.organization) {
      throw new CitadelError(422, `organization: this key has none called ${wanted.organization}`);
    }
    const existing = store.tenantBySlug(wanted.slug);
    if (existing) {
      const text = `the slug ${wanted.slug} exists in ${store.organization}`;
      throw new CitadelError(409, text, { id: existing.id });
    }
    return reply.code(201).send(store.addTenant(wanted.slug, wanted.name, wanted.metadata));
  });

  app.get("/api/v1/tenants", async (request) => {
    const { slug } = request.query as { slug?: string };
    if (slug === undefined) return { tenants: store.tenants() };
    const tenant = store.tenantBySlug(slug);
    return { tenants: tenant ? [tenant] : [] };
  });

  app.get("/api/v1/tenants/:id", async (request) => tenantOf(store, request));

  app.patch("/api/v1/tenants/:id", async (request) => {
    const changed = { ...tenantOf(store, request), ...parseBody(tenantPatch, request.body, 422) };
    store.updateTenant(changed);
    return changed;
  });

  app.delete("/api/v1/tenants/:id", async (request, reply) => {
    store.deleteTenant(tenantOf(store, request).id);
    return reply.code(204).send();
  });

  app.put("/api/v1/tenant-groups/:name", async (request, reply) => {
    const { name: group } = request.params as { name: string };
    const isNew = store.putGroup(parseBody(z.object({ name: label }), request.params, 422).name);
    return reply.code(isNew ? 201 : 200).send({ name: group, tenants: store.members(group) });
  });

  app.get("/api/v1/tenant-groups/:name", async (request) => {
    const group = groupOf(store, request);
    return { name: group, tenants: store.members(group) };
  });

  app.put("/api/v1/tenant-groups/:name/tenants/:id", async (request, reply) => {
    store.putMember(groupOf(store, request), tenantOf(store, request).id);
    return reply.code(204).send();
  });

  // Idempotent: what is in no group, or not at all, need not be taken out.
  app.delete("/api/v1/tenant-groups/:name/tenants/:id", async (request, reply) => {
    const { name: group, id } = request.params as { name: string; id: string };
    store.deleteMember(group, id);
    return reply.code(204).send();
  });
}

function tenantOf(store: Store, request: FastifyRequest): Tenant {
  const { id } = request.params as { id: string };
  const tenant = store.tenant(id);
  if (!tenant) throw new CitadelError(404, `no tenant ${id}`);
  return tenant;
}

function groupOf(store: Store, request: FastifyRequest): string {
  const { name: group } = request.params as { name: string };
  if (!store.hasGroup(group)) throw new CitadelError(404, `no tenant group ${group}`);
  return group;
}
