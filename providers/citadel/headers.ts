import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import type { Scope } from "./port.ts";

/** @throws RDEV_TENANT for what is no UUID. */
export function tenantId(id: string): string {
  if (z.guid().safeParse(id).success) return id.toLowerCase();
  const text = `A tenant id is a UUID, and ${JSON.stringify(id)} is none.`;
  throw new InfraError("RDEV_TENANT", text);
}

export function tenantHeader(id: string): Record<string, string> {
  return { "x-tenant-id": tenantId(id) };
}

/** @throws RDEV_TENANT for what can be the name of no group. */
export function scopeHeaders(scope: Scope): Record<string, string> {
  if (scope === "organization") return {};
  if ("tenant" in scope) return tenantHeader(scope.tenant);
  // Anything else could end the header early.
  if (/^[\x21-\x7e]+$/.test(scope.group)) return { "x-tenant-group": scope.group };
  const text = `${JSON.stringify(scope.group)} is no name of a tenant group.`;
  throw new InfraError("RDEV_TENANT", text);
}
