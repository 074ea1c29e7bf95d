import { InfraError } from "../../core/errors.ts";
import type { Citadel } from "./port.ts";

/**
 * Proves that the key could see an environment of the organization. A key of another organization is
 * answered 404, or with a list that has no such environment: neither means that it is gone.
 *
 * The proof is any environment of the organization. Where there is none at all, which is so after the
 * last one was deleted, it is the tenant group that the environment was in: nobody can delete a group.
 * @throws RDEV_FORBIDDEN where the key gives no proof.
 */
export async function assertSees(
  { environments, groups }: Pick<Citadel, "environments" | "groups">,
  { organization, group }: { readonly organization: string; readonly group: string },
): Promise<void> {
  const seen = await environments.list();
  if (seen.some((environment) => environment.organization === organization)) return;
  const others = [...new Set(seen.map((environment) => environment.organization))];
  if (others.length === 0 && (await groups.members(group))?.length === 0) return;
  throw new InfraError(
    "RDEV_FORBIDDEN",
    `CITADEL_API_KEY sees no environment of the organization ${organization}` +
      `${others.length > 0 ? `, only of ${others.join(", ")}` : ", nor its tenant group"}, so nothing ` +
      "shows that an environment is gone. Set CITADEL_API_KEY to a key of that organization with the " +
      "scope for environments, or correct rdev:citadelOrganization.",
  );
}
