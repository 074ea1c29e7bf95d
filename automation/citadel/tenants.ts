import { InfraError } from "../../core/errors.ts";
import type { Citadel as CitadelClient } from "../../providers/citadel/client.ts";
import type { Citadel } from "../../providers/citadel/port.ts";
import { PLATFORM_ENVIRONMENT } from "../../core/citadel.ts";

/** The id of the environment with a slug. Rejects with RDEV_TENANT if Citadel has none. */
export async function tenantOf(
  citadel: Pick<Citadel, "environments">,
  slug: string,
): Promise<string> {
  const found = await citadel.environments.find(slug);
  if (found) return found.id;
  const hint =
    slug === PLATFORM_ENVIRONMENT
      ? "Is the platform's stack up?"
      : "Is the stack up, and the slug right?";
  throw new InfraError("RDEV_TENANT", `Citadel has no environment "${slug}". ${hint}`);
}

/**
 * The tenant of the platform's own logs and audit events: the one of CITADEL_TENANT_ID, or else
 * `rdev-platform`. Rejects with RDEV_TENANT if Citadel has neither.
 */
export async function platformTenant(
  citadel: Pick<CitadelClient, "environments" | "platformTenant">,
): Promise<string> {
  return citadel.platformTenant ?? (await tenantOf(citadel, PLATFORM_ENVIRONMENT));
}
