import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { CitadelError } from "./errors.ts";
import type { Store } from "./store.ts";

/** The tenant of `X-Tenant-ID`, if the header is there. @throws CitadelError 400 no UUID, 404 unknown. */
export function tenantOfHeader(store: Store, request: FastifyRequest): string | undefined {
  const id = request.headers["x-tenant-id"];
  if (id === undefined) return undefined;
  const parsed = z.guid().safeParse(id);
  if (!parsed.success)
    throw new CitadelError(400, `X-Tenant-ID must be a UUID, not "${String(id)}"`);
  const tenant = store.tenant(parsed.data);
  if (!tenant) throw new CitadelError(404, `no tenant ${parsed.data}`);
  return tenant.id;
}
