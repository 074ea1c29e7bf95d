import { createHmac, timingSafeEqual } from "node:crypto";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import { eventsOf, repositoryOf } from "../../../core/previews/forge-event.ts";
import { refuseExcess } from "../access.ts";
import { addressOf, limiter } from "../limiter.ts";
import type { ForgeWebhooks, ServiceLimits } from "../options.ts";
import { problemResponse } from "../schemas/problem.ts";

/** In bytes. GitHub sends up to 25 MB, but the events that matter here are below 200 KB. */
const MAX_BODY = 1024 * 1024;

const headers = z.object({
  "x-hub-signature-256": z.string().optional().meta({
    description: "`sha256=` and the HMAC-SHA256 of the body in hexadecimal.",
  }),
});

const answer = z
  .object({
    result: z.enum(["accepted", "repeated", "ignored"]).meta({
      description:
        "`repeated`: the delivery came before. `ignored`: it is about nothing that matters here.",
    }),
  })
  .meta({ id: "ForgeDelivery" });

/** The webhook of Gitea or GitHub. The signature is its only credential. */
export function forgeRoutes(
  forge: ForgeWebhooks | undefined,
  limits: ServiceLimits,
): FastifyPluginAsyncZod {
  return async (app) => {
    const wrong = limiter(app, limits.unauthenticatedPerMinute, addressOf);
    // The signature is over the bytes, so nothing may parse them before.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      "application/json",
      { parseAs: "buffer", bodyLimit: MAX_BODY },
      (_request, body, done) => done(null, body),
    );
    app.post(
      "/v1/forge/events",
      {
        bodyLimit: MAX_BODY,
        config: { access: "open" },
        onRequest: async (request, reply) => {
          const usage = await wrong.peek(request);
          refuseExcess(reply, usage, "from this address with a wrong signature");
        },
        schema: {
          tags: ["forge"],
          operationId: "receiveForgeEvent",
          security: [],
          summary: "Takes an event of the repository of this program from Gitea or GitHub",
          description: "Both send the same headers. The body is the event as JSON.",
          headers,
          response: {
            202: answer,
            400: problemResponse("The body is not JSON, or of another repository."),
            401: problemResponse("The signature is missing or wrong."),
            404: problemResponse("This service takes no events of a forge."),
            413: problemResponse("The body is too large."),
            415: problemResponse("The body is not application/json."),
            429: problemResponse("Too many requests with a wrong signature."),
            "5XX": problemResponse("The service is not ready. The forge may send it again."),
          },
        },
      },
      async (request, reply) => {
        if (!forge) {
          throw new InfraError(
            "RDEV_NOT_FOUND",
            "This service takes no events, because RDEV_INFRA_PREVIEWS_FILE is not set.",
          );
        }
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        if (!isSigned(body, request.headers["x-hub-signature-256"], forge.secret)) {
          await wrong.count(request);
          throw new InfraError(
            "RDEV_SIGNATURE",
            "X-Hub-Signature-256 is missing or wrong. Is the webhook's secret RDEV_INFRA_FORGE_SECRET?",
          );
        }
        const payload = parsed(body, forge.repository);
        const events = eventsOf(payload);
        const isNew = events.length > 0 && (await forge.store(body, events));
        reply.code(202);
        if (events.length === 0) return { result: "ignored" as const };
        return { result: isNew ? ("accepted" as const) : ("repeated" as const) };
      },
    );
  };
}

/** Compares in constant time, so timing reveals nothing about the signature. */
function isSigned(body: Buffer, given: string | undefined, secret: string): boolean {
  const digest = createHmac("sha256", secret).update(body).digest("hex");
  const [right, found] = [Buffer.from(`sha256=${digest}`), Buffer.from(given ?? "")];
  return right.length === found.length && timingSafeEqual(right, found);
}

function parsed(body: Buffer, repository: string): unknown {
  let payload: unknown;
  try {
    payload = JSON.parse(body.toString("utf8"));
  } catch {
    throw new InfraError("RDEV_REQUEST", "The body is not JSON.");
  }
  const found = repositoryOf(payload);
  if (found?.toLowerCase() === repository.toLowerCase()) return payload;
  throw new InfraError("RDEV_REQUEST", `The event is not of the repository ${repository}.`);
}
