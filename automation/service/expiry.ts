import type { FastifyRequest } from "fastify";
import { InfraError } from "../../core/errors.ts";
import { expiryOf } from "../../core/lifetime.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { hasRole } from "../identity/identity.ts";
import { identityOf } from "./access.ts";
import type { ServiceOptions } from "./options.ts";

/**
 * Checks the setting `expiresAt` of a request. The service deletes an expired project, so a caller who may
 * not delete it may prolong its time to live, but neither give it one nor shorten it. Throws RDEV_ROLE, and
 * RDEV_SETTINGS for a time in the past.
 */
export async function checkExpiry(
  { projects }: Pick<ServiceOptions, "projects">,
  request: FastifyRequest,
  slug: string,
  { expiresAt }: Pick<ProjectChanges, "expiresAt">,
): Promise<void> {
  if (expiresAt === undefined) return;
  const wanted = expiryOf({ expiresAt });
  if (wanted < Date.now()) {
    throw new InfraError(
      "RDEV_SETTINGS",
      `expiresAt must be in the future, instead got ${expiresAt}. To delete the project now, send a DELETE.`,
    );
  }
  const identity = identityOf(request);
  if (hasRole(identity, "admin", slug)) return;
  const found = await projects.find(slug);
  if (!found || wanted >= expiryOf(found.settings)) return;
  throw new InfraError(
    "RDEV_ROLE",
    `The ${identity.title} may prolong the time to live of "${slug}", but only the role admin may ` +
      "shorten it or give the project one, because the project is deleted at its end.",
  );
}
