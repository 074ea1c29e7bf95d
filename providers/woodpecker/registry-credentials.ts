import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { markIn, markText, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { assertMay, Woodpecker } from "./client.ts";
import { DEFAULT_EVENTS } from "./secret.ts";

export const USERNAME = "registry_username";
export const PASSWORD = "registry_password";

const definition = define({
  module: "woodpecker/registry-credentials",
  type: "woodpecker:RegistryCredentials",
  noun: "Woodpecker registry credentials",
  inputs: z.object({
    /** Woodpecker's number of the repository. */
    repositoryId: z.int(),
    /** Raise it after a change of the account, to write it again. */
    credentialsVersion: z.int().min(1).default(1),
    /**
     * The project's own account. Without one, the account that all pipelines share is written. That
     * comes from the connection, because it belongs to the platform and must not be in a state.
     */
    account: z.object({ username: z.string().min(1), password: z.string().min(1) }).optional(),
    owner: ownerSchema,
  }),
  attributes: z.object({}),
  replaceOn: ["repositoryId"],
  secrets: ["account"],

  connect: () => new Woodpecker(),

  async find(woodpecker, { repositoryId, owner }) {
    const object = await both(woodpecker, repositoryId);
    const [ownership, ...others] = object
      .filter((secret) => secret !== undefined)
      .map(({ note }) => ownershipOf(markIn(note), owner));
    if (ownership === undefined) return undefined;
    const isSame = others.every((other) => other === ownership);
    // An adoption that was killed has written one of the two.
    const mayAdopt = [ownership, ...others].every((each) => each === "ours" || each === "retained");
    const mixed = mayAdopt ? "retained" : "unmarked";
    return { id: id(repositoryId), ownership: isSame ? ownership : mixed, object };
  },

  // Creates nothing: `apply` creates each secret that is missing, so one missing secret is enough.
  async create(_woodpecker, { repositoryId }) {
    return id(repositoryId);
  },

  async apply(woodpecker, _id, { repositoryId, owner, account }, _last, found) {
    const { username, password } = account ?? connection("registry").shared;
    const [oldUsername, oldPassword] = found ?? (await both(woodpecker, repositoryId));
    for (const [name, value, old] of [
      [USERNAME, username, oldUsername],
      [PASSWORD, password, oldPassword],
    ] as const) {
      const settings = { value, events: DEFAULT_EVENTS, note: markText(owner) };
      if (old) await woodpecker.editSecret(repositoryId, name, settings);
      else await woodpecker.createSecret(repositoryId, name, settings);
    }
    return {};
  },

  async read(woodpecker, _id, { repositoryId, owner }) {
    const found = await both(woodpecker, repositoryId);
    const ours = found.filter((secret) => ownershipOf(markIn(secret?.note), owner) === "ours");
    if (ours.length === 0) return undefined;
    // If one of the two is missing, another version makes the next `up` write both.
    return ours.length === found.length ? {} : { credentialsVersion: 0 };
  },

  async assertVisible(woodpecker, { repositoryId }) {
    await assertMay(woodpecker, "push", repositoryId);
  },

  async delete(woodpecker, _id, { repositoryId }) {
    await woodpecker.deleteSecret(repositoryId, USERNAME);
    await woodpecker.deleteSecret(repositoryId, PASSWORD);
  },
});

function id(repositoryId: number): string {
  return `${repositoryId}/registry`;
}

function both(woodpecker: Woodpecker, repositoryId: number) {
  return Promise.all([
    woodpecker.secret(repositoryId, USERNAME),
    woodpecker.secret(repositoryId, PASSWORD),
  ]);
}

export const provider = dynamicProvider(definition);

/**
 * The registry account of a project's pipeline, as the secrets `registry_username` and
 * `registry_password` of its Woodpecker repository. Delete deletes both.
 */
export class RegistryCredentials extends dynamicResource(definition) {}
