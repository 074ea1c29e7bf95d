import { difference } from "../../core/adoption.ts";
import { retainedMarkText } from "../../core/ownership.ts";
import type { Adoption } from "../adoption.ts";
import { Gitea, type GiteaRepository } from "./client.ts";
import { describe } from "./leftovers.ts";
import { noteAsRetained, provenOwnership } from "./provenance.ts";

/** The branch that pipelines build. */
const BRANCH = "main";

/** Keeps the repository with its history, issues and topics. */
export const adoption: Adoption = {
  async find(project) {
    const { slug, name, owner, settings } = project;
    const client = new Gitea();
    const found = await client.repository(settings.gitOrganization, slug);
    if (!found) {
      await client.assertSeesAll(settings.gitOrganization);
      return [];
    }
    const { ownership } = await provenOwnership(client, settings.gitOrganization, found, owner);
    if (ownership !== "unmarked") {
      return [{ what: describe(project), whose: ownership, changes: [], problems: [] }];
    }
    const hasBranch =
      found.empty || (await client.hasBranch(settings.gitOrganization, slug, BRANCH));
    return [
      {
        what: describe(project),
        whose: ownership,
        changes: [
          ...difference("description", found.description, name),
          ...difference("private", found.private, true),
          ...difference("archived", found.archived, false),
          ...(hasBranch ? difference("default branch", found.default_branch, BRANCH) : []),
          ...(found.empty ? ["the template's files, because it is empty"] : []),
        ],
        problems: hasBranch ? [] : [withoutBranch(found)],
      },
    ];
  },

  async mark({ slug, owner, settings: { gitOrganization } }) {
    const client = new Gitea();
    const found = await client.repository(gitOrganization, slug);
    if (!found) return;
    const { ownership } = await provenOwnership(client, gitOrganization, found, owner);
    if (ownership !== "unmarked") return;
    // The note goes first: only with it is the mark in the description a proof.
    await noteAsRetained(client, gitOrganization, found, owner);
    await client.editRepository(gitOrganization, slug, {
      description: `${found.description} (${retainedMarkText(owner)})`.trimStart(),
    });
  },
};

function withoutBranch({ default_branch: branch, clone_url: url }: GiteaRepository): string {
  return (
    `has no branch ${BRANCH}, which pipelines build. Create it: git push ${url} ` +
    `origin/${branch}:refs/heads/${BRANCH}`
  );
}
