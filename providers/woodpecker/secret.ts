import { z } from "zod";
import { markIn, markText, NO_OWNER, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { assertMay, Woodpecker } from "./client.ts";

/**
 * The pipeline events that may receive a secret, with Woodpecker's names. Pull request events are
 * excluded, because anybody who can open a pull request could print the secret.
 */
const ALLOWED_EVENTS = ["cron", "deployment", "manual", "push", "release", "tag"] as const;

export const DEFAULT_EVENTS = ["deployment", "manual", "push", "tag"] as const;

/** The secrets with which a project's pipeline deploys. */
export const DEPLOY_SECRETS = ["kube_token", "kube_ca"] as const;

const definition = define({
  module: "woodpecker/secret",
  type: "woodpecker:Secret",
  noun: "Woodpecker secret",
  inputs: z.object({
    /** Woodpecker's number of the repository. */
    repositoryId: z.int(),
    name: z.string().regex(/^\w+$/, "contains more than letters, digits and _"),
    value: z.string().min(1),
    /** The events whose runs receive it. Sorted, because Woodpecker answers them sorted. */
    events: z
      .array(z.enum(ALLOWED_EVENTS, `is none of ${ALLOWED_EVENTS.join(", ")}`))
      .min(1)
      .default([...DEFAULT_EVENTS])
      // The type is string, so that a read can report events that a person added on the server.
      .transform((events): string[] => [...new Set(events)].sort()),
    owner: ownerSchema,
  }),
  attributes: z.object({}),
  replaceOn: ["repositoryId", "name"],
  secrets: ["value"],

  connect: () => new Woodpecker(),

  async find(woodpecker, { repositoryId, name, owner }) {
    const found = await woodpecker.secret(repositoryId, name);
    if (!found) return undefined;
    return { id: id(repositoryId, name), ownership: ownershipOf(markIn(found.note), owner) };
  },

  async create(woodpecker, inputs) {
    await woodpecker.createSecret(inputs.repositoryId, inputs.name, settings(inputs));
    return id(inputs.repositoryId, inputs.name);
  },

  // The value cannot be read back, so it is always set again.
  async apply(woodpecker, _id, inputs) {
    await woodpecker.editSecret(inputs.repositoryId, inputs.name, settings(inputs));
    return {};
  },

  async read(woodpecker, _id, { repositoryId, name, owner }) {
    const found = await woodpecker.secret(repositoryId, name);
    const ownership = ownershipOf(markIn(found?.note), owner);
    if (!found || ownership === "others") return undefined;
    return { events: found.events.toSorted(), owner: ownership === "ours" ? owner : NO_OWNER };
  },

  async assertVisible(woodpecker, { repositoryId }) {
    await assertMay(woodpecker, "push", repositoryId);
  },

  async delete(woodpecker, _id, { repositoryId, name }) {
    await woodpecker.deleteSecret(repositoryId, name);
  },
});

function id(repositoryId: number, name: string): string {
  return `${repositoryId}/${name}`;
}

function settings({ value, events, owner }: z.output<typeof definition.inputs>) {
  return { value, events, note: markText(owner) };
}

export const provider = dynamicProvider(definition);

/** A secret of one Woodpecker repository. Pull requests never receive it. Delete deletes it. */
export class Secret extends dynamicResource(definition) {}
