import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Citadel } from "./client.ts";

const definition = define({
  module: "citadel/webhook",
  type: "citadel:Webhook",
  noun: "Citadel webhook",
  inputs: z.object({
    url: z.url(),
    /** Raise it after rotating CITADEL_WEBHOOK_SECRET. */
    credentialsVersion: z.int().min(1).default(1),
  }),
  attributes: z.object({}),
  replaceOn: ["url"],
  secrets: [],

  connect: () => new Citadel().webhooks,

  async find(webhooks, { url }) {
    // A webhook has no place for a mark, and holds nothing of its own beside its address.
    return (await isThere(webhooks, url)) ? { id: url, ownership: "ours" } : undefined;
  },

  async create(_webhooks, { url }) {
    return url;
  },

  async apply(webhooks, _id, { url }) {
    // Not an input: a rotated secret must change no preview. One address is registered once.
    await webhooks.register({ url, secret: connection("citadelWebhook").secret });
    return {};
  },

  async read(webhooks, _id, { url }) {
    return (await isThere(webhooks, url)) ? {} : undefined;
  },

  async delete() {
    // Citadel's API deletes no webhook.
  },
});

export const provider = dynamicProvider(definition);

async function isThere(webhooks: Citadel["webhooks"], url: string): Promise<boolean> {
  return (await webhooks.list()).some((webhook) => webhook.url === url);
}

/**
 * A webhook for Citadel's alerts, signed with CITADEL_WEBHOOK_SECRET. Registering an address again
 * renews its secret. Delete leaves it, and another address is registered beside the old one: by its
 * contract Citadel's API deletes no webhook, so that the partner has to take an old one away.
 */
export class Webhook extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
