import { hash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { OperationRequest } from "../../core/operation.ts";
import { demandProject, keyOf } from "./access.ts";
import type { ServiceParts } from "./parts.ts";
import { operationSchema, type OperationView, operationView } from "./schemas/operation.ts";

/** Headers and query of every route that starts an operation. */
export const submitHeaders = z.looseObject({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, "is not of 1 to 200 visible ASCII characters")
    .optional()
    .meta({
      description:
        "Any text of yours, as a UUID. The same request with the same key again is answered with the " +
        "operation that the first one started; another request with it is refused.",
    }),
});

export const submitQuery = {
  ifBusy: z.enum(["wait", "refuse"]).default("wait").meta({
    description:
      "Where another operation of the project runs or waits: wait in order, or answer 409.",
  }),
};

export const acceptedResponse = operationSchema.meta({
  description: "It is accepted. Location says where it is followed.",
});

interface Submission {
  readonly slug: string;
  readonly request: OperationRequest;
  readonly ifBusy: "wait" | "refuse";
  readonly mustBeNew?: boolean;
}

/** Starts an operation for the request's key, and answers with it. */
export async function submit(
  { platform, operations }: ServiceParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { slug, request: asked, ifBusy, mustBeNew = false }: Submission,
): Promise<OperationView> {
  demandProject(request, slug);
  request.about.project = slug;
  const { name: actor } = keyOf(request);
  const key = request.headers["idempotency-key"] as string | undefined;
  const { operation, replayed } = await operations.submit({
    ...{ platform, slug, request: asked, actor, ifBusy, mustBeNew },
    ...(key !== undefined && { idempotency: { key, fingerprint: fingerprint(slug, asked) } }),
  });
  request.about.operation = operation.id;
  reply.code(202).header("location", `/v1/operations/${operation.id}`);
  if (replayed) reply.header("idempotency-replayed", "true");
  return operationView(operation);
}

/** Of what is asked, not of how it was written: zod gives the fields in one order. */
function fingerprint(slug: string, request: OperationRequest): string {
  return hash("sha256", JSON.stringify([slug, request]));
}
