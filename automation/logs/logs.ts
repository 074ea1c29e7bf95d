import { parseSlug } from "../../core/slug.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import {
  type Entry,
  LEVELS,
  type QueryOptions,
  type QueryResult,
  type Scope,
} from "../../providers/citadel/port.ts";
import { platformTenant, tenantOf } from "../citadel/tenants.ts";
import { follow, type FollowOptions, type Note } from "./follow.ts";

export type { Entry };

/** Selects the logs of a project, of the platform, of a tenant group, or of the organization. */
export type LogSubject =
  | { readonly project: string }
  | { readonly platform: true }
  | { readonly group: string }
  | { readonly all: true };

/** CPL has no wildcard (docs/citadel.md), but every event has one of these levels. */
const EVERY_LINE = LEVELS.map((level) => `level:${level}`).join(" OR ");

/** The lines that match a CPL query, newest first. The query `*` matches every line. */
export async function searchLogs(
  subject: LogSubject,
  cpl: string,
  options?: QueryOptions,
): Promise<QueryResult> {
  const citadel = new Citadel();
  return citadel.query(await scopeOf(citadel, subject), queryOf(cpl), options);
}

/**
 * Yields the lines that match a query of `searchLogs`, oldest first, and then new ones until
 * `options.signal` is aborted, with notes in between.
 */
export async function* followLogs(
  subject: LogSubject,
  cpl: string,
  options: FollowOptions,
): AsyncGenerator<Entry | Note> {
  const citadel = new Citadel();
  const scope = await scopeOf(citadel, subject);
  yield* follow(citadel, scope, queryOf(cpl), options);
}

/** The CPL of a query of `searchLogs`. */
export function queryOf(cpl: string): string {
  return cpl.trim() === "*" ? EVERY_LINE : cpl;
}

/** Throws RDEV_SLUG for an invalid slug, and RDEV_TENANT if Citadel has no such tenant. */
async function scopeOf(citadel: Citadel, subject: LogSubject): Promise<Scope> {
  if ("all" in subject) return "organization";
  if ("group" in subject) return { group: subject.group };
  if ("platform" in subject) return { tenant: await platformTenant(citadel) };
  return { tenant: await tenantOf(citadel, parseSlug(subject.project)) };
}
