import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { MANAGED_BY, ownerSchema, retainedMarkText } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Gitea, type GiteaRepository } from "./client.ts";
import { describedOwnership, mark } from "./mark.ts";

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
    /** On delete: archive it instead. */
    retain: z.boolean().default(false),
  }),
  attributes: z.object({
    /** Gitea's own number; Woodpecker knows a repository by it. */
    repositoryId: z.int(),
    cloneUrl: z.string(),
    sshUrl: z.string(),
    htmlUrl: z.string(),
  }),
  replaceOn: ["organization", "name"],
  secrets: [],

  connect: () => new Gitea(),

  async find(gitea, { organization, name, owner }) {
    const found = await gitea.repository(organization, name);
    return found && { id: found.full_name, ownership: describedOwnership(found, owner) };
  },

  async create(gitea, inputs) {
    const made = await gitea.createRepository(inputs.organization, inputs.name, settings(inputs));
    return made.full_name;
  },

  async apply(gitea, _id, inputs) {
    const { organization, name } = inputs;
    // One that was retained by an earlier delete comes back to life.
    const repository = await gitea.editRepository(organization, name, {
      ...settings(inputs),
      archived: false,
    });
    await gitea.setTopics(organization, name, [`managed-by-${MANAGED_BY}`]);
    return attributes(repository);
  },

  async read(gitea, _id, { organization, name, owner }) {
    const found = await gitea.repository(organization, name);
    return (
      found && {
        ...attributes(found),
        description: found.description.replace(mark(owner), "").trimEnd(),
        defaultBranch: found.default_branch,
        private: found.private,
      }
    );
  },

  async delete(gitea, _id, { organization, name, description, owner, retain }) {
    if (!retain) return gitea.deleteRepository(organization, name);
    await gitea.editRepository(organization, name, {
      description: `${description} (${retainedMarkText(owner)})`.trimStart(),
      archived: true,
    });
  },
});

function settings(inputs: z.output<typeof definition.inputs>) {
  return {
    description: `${inputs.description} ${mark(inputs.owner)}`.trimStart(),
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

/** A repository in a Gitea organization, empty at first. Delete deletes it, or archives it. */
export class Repository extends DynamicResource<typeof definition> {
  declare readonly repositoryId: pulumi.Output<number>;
  declare readonly cloneUrl: pulumi.Output<string>;
  declare readonly sshUrl: pulumi.Output<string>;
  declare readonly htmlUrl: pulumi.Output<string>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
