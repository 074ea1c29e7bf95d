import { InfraError, problems } from "../../core/errors.ts";
import { slugProblems } from "../../core/slug.ts";
import type { Citadel, Scope } from "../../providers/citadel/port.ts";

/** The platform's environment, where CITADEL_TENANT_ID names no other. */
const PLATFORM = "rdev-platform";

/** Whose logs, as a person says it. */
export type Subject =
  | { readonly project: string }
  | { readonly platform: true }
  | { readonly group: string }
  | { readonly all: true };

/** Finds the tenant. Throws RDEV_SLUG for what is no slug, RDEV_TENANT where Citadel has none. */
export async function scopeOf(
  citadel: Citadel,
  subject: Subject,
  platformTenant?: string,
): Promise<Scope> {
  if ("all" in subject) return "organization";
  if ("group" in subject) return { group: subject.group };
  if ("project" in subject) return { tenant: await projectTenant(citadel, subject.project) };
  return { tenant: platformTenant ?? (await tenantOf(citadel, PLATFORM)) };
}

async function projectTenant(citadel: Citadel, slug: string): Promise<string> {
  const wrong = slugProblems(slug);
  if (wrong.length > 0) throw problems("RDEV_SLUG", `${JSON.stringify(slug)} is no slug:`, wrong);
  return tenantOf(citadel, slug);
}

async function tenantOf(citadel: Citadel, slug: string): Promise<string> {
  const found = await citadel.environments.find(slug);
  if (found) return found.id;
  const text = `Citadel has no environment "${slug}". Is the stack up, and the slug right?`;
  throw new InfraError("RDEV_TENANT", text);
}
