import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { delivery, deliveryState, resent } from "../../../core/notification-delivery.ts";
import { identityOf } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";

const tags = ["notifications"];
// Receivers belong to the platform, and their events are about all projects.
const config = { access: "admin", allProjects: true } as const;

export function notificationRoutes({ deliveries }: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/notifications",
      {
        config,
        schema: {
          tags,
          operationId: "listNotifications",
          summary: "List the notifications that receivers have not taken, newest first",
          description: "Those that were given up stay for 30 days.",
          querystring: z.strictObject({
            ...pageQuery("notification"),
            state: deliveryState.optional(),
          }),
          response: {
            200: pageOf(delivery).meta({ id: "NotificationPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor, state } = request.query;
        const [id = "", receiver = ""] = cursor?.split(" ") ?? [];
        const after = cursor === undefined ? undefined : { id, receiver };
        const found = await deliveries.list({ limit: limit + 1, after, state });
        const positionOf = (last: { id: string; receiver: string }) =>
          `${last.id} ${last.receiver}`;
        return toPage("notification", limit, found, (one) => one, positionOf);
      },
    );

    app.post(
      "/v1/notifications/resend",
      {
        config,
        schema: {
          tags,
          operationId: "resendNotifications",
          summary: "Send all notifications again that were given up",
          response: { 200: resent, ...problemResponses() },
        },
      },
      async (request) => ({ resent: await deliveries.resend(identityOf(request).actor) }),
    );

    app.post(
      "/v1/notifications/:id/resend",
      {
        config,
        schema: {
          tags,
          operationId: "resendNotification",
          summary: "Send a notification again to the receivers for which it was given up",
          description:
            "It has the same id. It can arrive after later ones with the same subject. If it is older " +
            "than 3 days, it is given up again after 10 failed attempts.",
          params: z.object({ id: z.uuid() }),
          response: { 200: resent, ...problemResponses(400, 404) },
        },
      },
      async (request) => {
        const { id } = request.params;
        return { resent: await deliveries.resend(identityOf(request).actor, id) };
      },
    );
  };
}
