import { problems } from "../../core/errors.ts";
import { slugProblems } from "../../core/slug.ts";
import type { Citadel } from "../../providers/citadel/client.ts";
import type { Scope } from "../../providers/citadel/port.ts";
import { platformTenant, tenantOf } from "../citadel/tenants.ts";

/** Whose logs, as a person says it. */
export type Subject =
  | { readonly project: string }
  | { readonly platform: true }
  | { readonly group: string }
  | { readonly all: true };

/** Finds the tenant. Throws RDEV_SLUG for what is no slug, RDEV_TENANT where Citadel has none. */
export async function scopeOf(citadel: Citadel, subject: Subject): Promise<Scope> {
  if ("all" in subject) return "organization";
  if ("group" in subject) return { group: subject.group };
  if ("project" in subject) return { tenant: await projectTenant(citadel, subject.project) };
  return { tenant: await platformTenant(citadel) };
}

async function projectTenant(citadel: Citadel, slug: string): Promise<string> {
  const wrong = slugProblems(slug);
  if (wrong.length > 0) throw problems("RDEV_SLUG", `${JSON.stringify(slug)} is no slug:`, wrong);
  return tenantOf(citadel, slug);
}
