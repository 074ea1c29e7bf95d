import { InfraError } from "../../core/errors.ts";
import { Gitea } from "../gitea/client.ts";
import type { Woodpecker } from "./client.ts";

/**
 * Throws RDEV_FORBIDDEN where Woodpecker has this repository and does not show it, or its secrets, to
 * the token's user: Woodpecker answers 404 for what the user has no right in.
 */
export async function assertMay(
  woodpecker: Woodpecker,
  right: "pull" | "push",
  repositoryId: number,
): Promise<void> {
  const rights = await woodpecker.rights(repositoryId);
  if (rights && !rights[right]) throw forbidden(`repository ${repositoryId}`);
}

/**
 * Throws RDEV_FORBIDDEN unless the token could see each repository of the organization: an
 * administrator of Woodpecker sees all, and an owner of the organization all that is on Gitea.
 */
export async function assertSeesAll(woodpecker: Woodpecker, organization: string): Promise<void> {
  const { admin, login } = await woodpecker.user();
  if (admin || (await new Gitea().isOwner(organization, login))) return;
  throw forbidden(`the organization ${organization}`);
}

function forbidden(what: string): InfraError {
  return new InfraError(
    "RDEV_FORBIDDEN",
    `Woodpecker does not show WOODPECKER_TOKEN all of ${what}, so nothing counts as gone. It needs ` +
      "a token of an administrator of Woodpecker, or of an owner of the organization on Gitea.",
  );
}
