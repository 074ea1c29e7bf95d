import { connection } from "../../core/connections.ts";
import { type Check, failed, type Finding, ok, skipped, warning, withSettings } from "../check.ts";
import { Gitea, type RepositoryRights } from "./client.ts";

export const checks: readonly Check[] = [
  {
    system: "Gitea",
    name: "token",
    needs: ["gitea"],
    run: withSettings(async ({ gitOrganization }) => {
      const gitea = new Gitea();
      await gitea.assertSeesAll(gitOrganization);
      await gitea.assertMayWrite(gitOrganization);
      return ok(`may write the organization ${gitOrganization} and its repositories`);
    }),
  },
  {
    system: "Gitea",
    name: "template updates",
    needs: ["gitea"],
    run: withSettings(async ({ gitOrganization }) => {
      const account = connection("giteaTemplates");
      if (account.variable === "GITEA_TOKEN") {
        return skipped("GITEA_TEMPLATE_TOKEN is not set, so GITEA_TOKEN opens the pull requests");
      }
      const all = new Gitea();
      const organization = await all.organizationId(gitOrganization);
      const templates = new Gitea(account);
      await templates.assertMayWriteRepositories(gitOrganization);
      const rights = await templates.rightsIn(organization);
      const isEmpty = rights.length === 0 && (await all.rightsIn(organization)).length === 0;
      return (
        lacking(rights, isEmpty) ??
        (await excessive(templates, gitOrganization, rights)) ??
        ok(`GITEA_TEMPLATE_TOKEN may write repositories of ${gitOrganization}, and no more`)
      );
    }),
  },
];

/** The finding if the account of GITEA_TEMPLATE_TOKEN cannot write the projects' repositories. */
function lacking(rights: readonly RepositoryRights[], isEmpty: boolean): Finding | undefined {
  const todo = "Add its account to a team that may write all repositories of the organization.";
  if (rights.length === 0 && !isEmpty) {
    return failed("the account of GITEA_TEMPLATE_TOKEN sees no repository of the projects", todo);
  }
  const readOnly = rights.find(({ permissions }) => !permissions.push);
  if (!readOnly) return undefined;
  return failed(`the account of GITEA_TEMPLATE_TOKEN may not write ${readOnly.full_name}`, todo);
}

/** The finding if the token may do more than updates of templates need. */
async function excessive(
  templates: Gitea,
  organization: string,
  rights: readonly RepositoryRights[],
): Promise<Finding | undefined> {
  const todo =
    "Use a token with the scope write:repository only, of an account that may write the repositories " +
    "but owns and administers nothing.";
  if (await templates.mayWriteOrganization(organization)) {
    return warning(`GITEA_TEMPLATE_TOKEN may change the organization ${organization}`, todo);
  }
  const own = rights.find(({ permissions }) => permissions.admin);
  return own && warning(`GITEA_TEMPLATE_TOKEN may delete ${own.full_name}`, todo);
}
