import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY, ownerSchema, retainedMarkText } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Gitea, type GiteaRepository } from "./client.ts";
import {
  describedOwnership,
  forgetRetained,
  makerOf,
  markInDescription,
  noteAsRetained,
  provenOwnership,
} from "./provenance.ts";

const definition = define({
  module: "gitea/repository",
  type: "gitea:Repository",
  noun: "Gitea repository",
  inputs: z.object({
    organization: z.string().min(1),
    name: z.string().min(1),
    owner: ownerSchema,
    description: z.string().default(""),
    defaultBranch: z.string().min(1).default("main"),
    private: z.boolean().default(true),
    /** Delete archives it instead. */
    retain: z.boolean().default(false),
  }),
  attributes: z.object({
    /** Gitea's number. Woodpecker refers to the repository by it. */
    repositoryId: z.int(),
    cloneUrl: z.string(),
    sshUrl: z.string(),
    htmlUrl: z.string(),
  }),
  replaceOn: ["organization", "name"],
  secrets: [],

  connect: () => new Gitea(),

  async find(gitea, { organization, name, owner, repositoryId }) {
    if (repositoryId === undefined) {
      const found = await gitea.repository(organization, name);
      if (!found) return undefined;
      const proven = await provenOwnership(gitea, organization, found, owner);
      return { id: found.full_name, ...proven };
    }
    const known = await gitea.repositoryById(repositoryId);
    if (known && isIn(known, organization)) {
      // Two stacks of an earlier version may know the same number, so another owner's mark counts.
      const isOthers = describedOwnership(known, owner) === "others";
      return {
        id: `${nameOf(known)[0]}/${name}`,
        ownership: isOthers ? "others" : "ours",
        object: known,
      };
    }
    const id = `${organization}/${name}`;
    const moved = known?.full_name ?? (await gitea.movedTo(organization, name));
    if (moved !== undefined) {
      return { id, ownership: "others", reason: `was transferred to ${moved}` };
    }
    const other = await gitea.repository(organization, name);
    return other && { id, ownership: "others", reason: "is not the one that this stack made" };
  },

  async create(gitea, inputs) {
    const made = await gitea.createRepository(inputs.organization, inputs.name, settings(inputs));
    return made.full_name;
  },

  async apply(gitea, id, inputs, last, object) {
    const { organization, name, owner } = inputs;
    const found = object ?? (await repositoryToApply(gitea, inputs, last?.repositoryId));
    if (!found) throw new InfraError("RDEV_GONE", `The Gitea repository ${id} is gone.`);
    const repository = await gitea.editRepository(...nameOf(found), {
      ...settings(inputs),
      // Undoes a rename by hand.
      ...(nameOf(found)[1] !== name && { name }),
      // Undoes an earlier delete that retained the repository.
      archived: false,
    });
    if (describedOwnership(found, owner) === "retained") {
      await forgetRetained(gitea, organization, owner);
    }
    await gitea.addTopic(organization, name, `managed-by-${MANAGED_BY}`);
    return attributes(repository);
  },

  async read(gitea, id, { organization, name, owner, repositoryId }) {
    const found = repositoryId
      ? await gitea.repositoryById(repositoryId)
      : await gitea.repository(organization, name);
    const moved = found
      ? isIn(found, organization)
        ? undefined
        : found.full_name
      : await gitea.movedTo(organization, name);
    if (moved !== undefined) throw transferred(id, moved);
    return (
      found && {
        ...attributes(found),
        description: found.description.replace(markInDescription(owner), "").trimEnd(),
        defaultBranch: found.default_branch,
        private: found.private,
      }
    );
  },

  async assertVisible(gitea, { organization }) {
    await gitea.assertSeesAll(organization);
  },

  async delete(gitea, _id, { organization, name, description, owner, retain, repositoryId }) {
    const found = repositoryId
      ? await gitea.repositoryById(repositoryId)
      : await gitea.repository(organization, name);
    if (!found) return;
    if (!retain) return gitea.deleteRepository(...nameOf(found));
    await noteAsRetained(gitea, organization, found, owner);
    await gitea.editRepository(...nameOf(found), {
      description: `${description} (${retainedMarkText(owner)})`.trimStart(),
      archived: true,
    });
  },
});

/** The repository that `apply` changes if `find` did not return it. */
async function repositoryToApply(
  gitea: Gitea,
  inputs: z.output<typeof definition.inputs>,
  number: number | undefined,
): Promise<GiteaRepository | undefined> {
  if (number !== undefined) return gitea.repositoryById(number);
  const { organization, name } = inputs;
  const found = await gitea.repository(organization, name);
  if (!found || (await makerOf(gitea, organization, found)) !== "unrecorded") return found;
  // It is empty, and somebody else may have created it and kept access to it. So it is created again.
  await gitea.deleteRepository(...nameOf(found));
  return gitea.createRepository(organization, name, settings(inputs));
}

function isIn(repository: GiteaRepository, organization: string): boolean {
  return nameOf(repository)[0].toLowerCase() === organization.toLowerCase();
}

/** Splits the full name into owner and name. */
function nameOf({ full_name: fullName }: GiteaRepository): [string, string] {
  const [owner = "", name = ""] = fullName.split("/");
  return [owner, name];
}

function transferred(id: string, to: string): InfraError {
  return new InfraError(
    "RDEV_NOT_OURS",
    `The Gitea repository ${id} was moved to ${to} by hand. Move it back, or delete it there, ` +
      "then run this again.",
  );
}

function settings(inputs: z.output<typeof definition.inputs>) {
  return {
    description: `${inputs.description} ${markInDescription(inputs.owner)}`.trimStart(),
    private: inputs.private,
    default_branch: inputs.defaultBranch,
  };
}

function attributes(repository: GiteaRepository) {
  return {
    repositoryId: repository.id,
    cloneUrl: repository.clone_url,
    sshUrl: repository.ssh_url,
    htmlUrl: repository.html_url,
  };
}

export const provider = dynamicProvider(definition);

/** A repository in a Gitea organization, empty at first. Delete deletes or archives it. */
export class Repository extends dynamicResource(definition) {}
