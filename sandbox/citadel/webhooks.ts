import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Alerts } from "./alerts.ts";
import { parseBody } from "./errors.ts";

const newWebhook = z.object({
  url: z.url({ protocol: /^https?$/ }).max(2048),
  secret: z.string().min(16).max(256),
});

/** Webhooks for errors. Their shape is assumed: only what they send is published. */
export function webhookRoutes(app: FastifyInstance, alerts: Alerts): void {
  app.post("/api/v1/webhooks/deployments", async (request, reply) => {
    const { url, secret } = parseBody(newWebhook, request.body, 422);
    const { webhook, isNew } = alerts.register(url, secret);
    return reply.code(isNew ? 201 : 200).send(webhook);
  });

  app.get("/api/v1/webhooks/deployments", async () => ({ webhooks: alerts.webhooks() }));
}
