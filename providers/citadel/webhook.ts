import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Citadel } from "./client.ts";

const definition = define({
  module: "citadel/webhook",
  type: "citadel:Webhook",
  noun: "Citadel webhook",
  inputs: z.object({
    url: z.url(),
    /** Raise it after a rotation of CITADEL_WEBHOOK_SECRET. */
    credentialsVersion: z.int().min(1).default(1),
  }),
  attributes: z.object({}),
  replaceOn: ["url"],
  secrets: [],

  connect: () => new Citadel().webhooks,

  async find(webhooks, { url }) {
    // A webhook cannot store a mark, and has nothing but its address, so any with the address is ours.
    return (await isRegistered(webhooks, url)) ? { id: url, ownership: "ours" } : undefined;
  },

  async create(_webhooks, { url }) {
    return url;
  },

  async apply(webhooks, _id, { url }) {
    // The secret is not an input, because a rotation must not change a preview.
    await webhooks.register({ url, secret: connection("citadelWebhook").secret });
    return {};
  },

  async read(webhooks, _id, { url }) {
    return (await isRegistered(webhooks, url)) ? {} : undefined;
  },

  async delete() {
    // Citadel's API cannot delete a webhook.
  },
});

export const provider = dynamicProvider(definition);

async function isRegistered(webhooks: Citadel["webhooks"], url: string): Promise<boolean> {
  return (await webhooks.list()).some((webhook) => webhook.url === url);
}

/**
 * A webhook for Citadel's alerts, signed with CITADEL_WEBHOOK_SECRET. Registering an address again
 * renews its secret. Citadel's API cannot delete a webhook, so Delete leaves it, and a new address is
 * registered beside the old one. Citadel's operator has to remove the old one.
 */
export class Webhook extends dynamicResource(definition) {}
