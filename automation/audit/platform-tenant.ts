import { InfraError } from "../../core/errors.ts";
import type { Citadel } from "../../providers/citadel/port.ts";
import { PLATFORM_ENVIRONMENT } from "../../stacks/names.ts";

/** Where audit events go: the tenant that CITADEL_TENANT_ID names, else `rdev-platform`. */
export async function platformTenant(
  citadel: Pick<Citadel, "environments">,
  named: string | undefined,
): Promise<string> {
  const id = named ?? (await citadel.environments.find(PLATFORM_ENVIRONMENT))?.id;
  if (id !== undefined) return id;
  const text = `Citadel has no environment "${PLATFORM_ENVIRONMENT}". Is the platform's stack up?`;
  throw new InfraError("RDEV_TENANT", text);
}
