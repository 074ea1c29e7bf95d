import { z } from "zod";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { assertMay, assertSeesAll, Woodpecker, type WoodpeckerRepository } from "./client.ts";

const definition = define({
  module: "woodpecker/repository",
  type: "woodpecker:Repository",
  noun: "Woodpecker repository",
  inputs: z.object({
    /** The name on Gitea: `<organization>/<name>`. */
    fullName: z.string().regex(/^[^/]+\/[^/]+$/, "is not <organization>/<name>"),
    /** Its number on Gitea. */
    forgeRemoteId: z.int().min(1),
  }),
  attributes: z.object({
    /** Woodpecker's number. */
    repositoryId: z.int(),
    /** Its web page. */
    url: z.string(),
  }),
  replaceOn: ["fullName", "forgeRemoteId"],
  secrets: [],

  connect: () => new Woodpecker(),

  // Woodpecker cannot store a mark, so the number on Gitea decides: that repository is ours.
  async find(woodpecker, { fullName, forgeRemoteId, repositoryId }) {
    const found = await lookUp(woodpecker, fullName, repositoryId);
    if (!found) return undefined;
    if (isOf(found, forgeRemoteId)) {
      return { id: String(found.id), ownership: "ours", object: found };
    }
    const reason = `belongs to another repository on Gitea (number ${found.forge_remote_id})`;
    return { id: String(found.id), ownership: "others", reason };
  },

  async create(woodpecker, { forgeRemoteId }) {
    return String((await woodpecker.activate(forgeRemoteId)).id);
  },

  async apply(woodpecker, id, { fullName, forgeRemoteId }, last, found) {
    const repository = found ?? (await lookUp(woodpecker, fullName, last?.repositoryId));
    if (!repository?.active) await woodpecker.activate(forgeRemoteId);
    return { repositoryId: Number(id), url: `${woodpecker.url}/repos/${id}` };
  },

  async read(woodpecker, id, { fullName, forgeRemoteId, repositoryId }) {
    const found = await lookUp(woodpecker, fullName, repositoryId);
    // One that was deactivated by hand counts as gone. The next create adopts and activates it.
    if (!found?.active || String(found.id) !== id || !isOf(found, forgeRemoteId)) return undefined;
    return { url: `${woodpecker.url}/repos/${id}` };
  },

  async assertVisible(woodpecker, { fullName, repositoryId }) {
    if (repositoryId !== undefined) return assertMay(woodpecker, "pull", repositoryId);
    await assertSeesAll(woodpecker, fullName.split("/")[0] ?? "");
  },

  async delete(woodpecker, id) {
    await woodpecker.remove(Number(id));
  },
});

function lookUp(woodpecker: Woodpecker, fullName: string, repositoryId: number | undefined) {
  return repositoryId === undefined
    ? woodpecker.repository(fullName)
    : woodpecker.repositoryById(repositoryId);
}

function isOf(repository: WoodpeckerRepository, forgeRemoteId: number): boolean {
  return repository.forge_remote_id === String(forgeRemoteId);
}

export const provider = dynamicProvider(definition);

/** A repository that Woodpecker builds. Delete deactivates it and removes its secrets and pipelines. */
export class Repository extends dynamicResource(definition) {}
