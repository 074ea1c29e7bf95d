/** Decides who owns a repository. A mark can be copied, so Gitea's own records have to confirm it. */
import { markIn, markText, type Owner, type Ownership, ownershipOf } from "../../core/ownership.ts";
import type { Found } from "../dynamic/definition.ts";
import type { Gitea, GiteaRepository } from "./client.ts";

type Proven = Pick<Found, "ownership" | "reason">;

/** The mark, as part of the description: the call that creates a repository sets that too. */
export function markInDescription(owner: Owner): string {
  return `(${markText(owner)})`;
}

/** The ownership that a repository's description claims. */
export function describedOwnership(
  { description }: { readonly description: string },
  owner: Owner,
): Ownership {
  return ownershipOf(markIn(description), owner);
}

/**
 * Decides the owner of a repository whose number is in no state. Its description alone is no proof,
 * because every administrator of a repository can copy a mark into it.
 */
export async function provenOwnership(
  gitea: Gitea,
  organization: string,
  repository: GiteaRepository,
  owner: Owner,
): Promise<Proven> {
  const ownership = describedOwnership(repository, owner);
  if (ownership !== "ours" && ownership !== "retained") return { ownership };
  const isConfirmed = await confirmsMark(gitea, organization, repository, owner);
  return isConfirmed ? { ownership } : copied(ownership);
}

/** Whether Gitea's records confirm the mark in a repository's description. */
export async function confirmsMark(
  gitea: Gitea,
  organization: string,
  repository: GiteaRepository,
  owner: Owner,
): Promise<boolean> {
  return describedOwnership(repository, owner) === "retained"
    ? isNotedAsRetained(gitea, organization, repository, owner)
    : (await makerOf(gitea, organization, repository)) !== "others";
}

/**
 * Finds in Gitea's records who made a repository and named it. `owners` means owners of the
 * organization or site administrators. `others` includes a tenant who renamed a repository that an
 * owner had made for it. `unrecorded` means an empty repository without records: Gitea writes none if
 * the client is killed during the create.
 */
export async function makerOf(
  gitea: Gitea,
  organization: string,
  { full_name: fullName, empty }: GiteaRepository,
): Promise<"owners" | "unrecorded" | "others"> {
  const [account = "", name = ""] = fullName.split("/");
  const activities = await gitea.activities(account, name);
  if (activities.length === 0) return empty ? "unrecorded" : "others";
  const decisive = activities.filter(({ op_type: type }) => DECISIVE.includes(type));
  if (!decisive.some(({ op_type: type }) => type === "create_repo")) return "others";
  const users = new Map(decisive.map(({ act_user: user }) => [user.login, user]));
  for (const { login, is_admin: isAdmin } of users.values()) {
    if (!isAdmin && !(await gitea.isOwner(organization, login))) return "others";
  }
  return "owners";
}

/** Notes that a delete kept this repository, in a variable that only the organization's owners write. */
export async function noteAsRetained(
  gitea: Gitea,
  organization: string,
  { id }: GiteaRepository,
  owner: Owner,
): Promise<void> {
  await gitea.setVariable(organization, retainedVariable(owner), String(id));
}

async function isNotedAsRetained(
  gitea: Gitea,
  organization: string,
  { id }: GiteaRepository,
  owner: Owner,
): Promise<boolean> {
  return (await gitea.variable(organization, retainedVariable(owner))) === String(id);
}

export async function forgetRetained(
  gitea: Gitea,
  organization: string,
  owner: Owner,
): Promise<void> {
  await gitea.deleteVariable(organization, retainedVariable(owner));
}

/** The activities that decide what a repository is and what its name means. */
const DECISIVE: readonly string[] = ["create_repo", "rename_repo", "transfer_repo"];

/** Slugs contain only single hyphens, so two underscores separate platform and project. */
function retainedVariable({ platform, project }: Owner): string {
  return `RDEV_RETAINED_${platform}__${project}`.replaceAll("-", "_").toUpperCase();
}

function copied(ownership: Ownership): Proven {
  const mark = ownership === "ours" ? "this stack's mark" : "the mark of a retained repository";
  return {
    ownership: "others",
    reason: `carries ${mark}, but Gitea does not show that an owner of the organization put it there`,
  };
}
