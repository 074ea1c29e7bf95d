import { markIn, ownershipOf, retainedMarkText } from "../../core/ownership.ts";
import type { AdoptedProject, Adoption, FoundObject } from "../adoption.ts";
import { Gitea } from "../gitea/client.ts";
import { assertSeesAll, Woodpecker, type WoodpeckerRepository } from "./client.ts";
import { fullName } from "./leftovers.ts";
import { PASSWORD, USERNAME } from "./registry-credentials.ts";
import { DEPLOY_SECRETS } from "./secret.ts";

/** The secrets that a project's pipeline gets. All others stay as they are. */
const SECRETS = [USERNAME, PASSWORD, ...DEPLOY_SECRETS];

/** Keeps the repository with its runs. Woodpecker stores no mark: the number on Gitea decides. */
export const adoption: Adoption = {
  async find(project) {
    const client = new Woodpecker();
    const found = await client.repository(fullName(project));
    if (!found) {
      await assertSeesAll(client, project.settings.gitOrganization);
      return [];
    }
    const what = `repository ${found.full_name} (number ${found.id})`;
    if (!(await isOfProject(found, project))) {
      const problem =
        `belongs to another repository on Gitea (number ${found.forge_remote_id}). ` +
        "Delete it in Woodpecker.";
      return [{ what, whose: "unmarked", changes: [], problems: [problem] }];
    }
    const changes = [
      ...(found.active ? [] : ["active"]),
      ...((await client.latestPipeline(found.id)) ? [] : ["a first run of its pipeline"]),
    ];
    const repository: FoundObject = { what, whose: "unmarked", changes, problems: [] };
    return [repository, ...(await secrets(client, found, project))];
  },

  async mark(project) {
    const client = new Woodpecker();
    const found = await client.repository(fullName(project));
    if (!found || !(await isOfProject(found, project))) return;
    for (const name of SECRETS) {
      const secret = await client.secret(found.id, name);
      if (!secret || ownershipOf(markIn(secret.note), project.owner) !== "unmarked") continue;
      await client.noteSecret(found.id, name, retainedMarkText(project.owner));
    }
  },
};

async function secrets(
  client: Woodpecker,
  { id }: WoodpeckerRepository,
  { owner }: AdoptedProject,
): Promise<FoundObject[]> {
  const all = await Promise.all(SECRETS.map((name) => client.secret(id, name)));
  return all
    .filter((secret) => secret !== undefined)
    .map(({ name, note }) => ({
      what: `secret ${name}`,
      whose: ownershipOf(markIn(note), owner),
      changes: ["a new value"],
      problems: [],
    }));
}

async function isOfProject(
  { forge_remote_id: number }: WoodpeckerRepository,
  { slug, settings }: AdoptedProject,
): Promise<boolean> {
  const onGitea = await new Gitea().repository(settings.gitOrganization, slug);
  return String(onGitea?.id) === number;
}
