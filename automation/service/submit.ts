import { hash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { OperationRequest } from "../../core/operation.ts";
import { identityOf, requireProject } from "./access.ts";
import type { ServiceOptions } from "./options.ts";
import { operationSchema, type OperationView, operationView } from "./schemas/operation.ts";

/** With `submitQuery`: the parameters of every route that starts an operation. */
export const submitHeaders = z.looseObject({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, "must be 1 to 200 visible ASCII characters")
    .optional()
    .meta({
      description:
        "Any text, such as a UUID. If the same request is sent again with the same key, the answer is " +
        "the operation that the first one started. Another request with the key is refused.",
    }),
});

export const submitQuery = {
  ifBusy: z.enum(["wait", "refuse"]).default("wait").meta({
    description: "If another operation of the project runs or waits: wait in order, or answer 409.",
  }),
};

export const acceptedResponse = operationSchema.meta({
  description: "The operation is queued. Follow it at the address in Location.",
});

interface SubmitRequest {
  readonly slug: string;
  readonly request: OperationRequest;
  readonly ifBusy: "wait" | "refuse";
  readonly mustBeNew?: boolean;
}

/** Submits an operation for the request's caller, and sets the answer's status and headers. */
export async function submit(
  { platform, operations }: ServiceOptions,
  httpRequest: FastifyRequest,
  reply: FastifyReply,
  { slug, request, ifBusy, mustBeNew = false }: SubmitRequest,
): Promise<OperationView> {
  requireProject(httpRequest, slug);
  httpRequest.subject.project = slug;
  const { actor } = identityOf(httpRequest);
  const key = httpRequest.headers["idempotency-key"] as string | undefined;
  const { operation, replayed } = await operations.submit({
    platform,
    slug,
    request,
    actor,
    ifBusy,
    mustBeNew,
    ...(key !== undefined && { idempotency: { key, fingerprint: fingerprint(slug, request) } }),
  });
  httpRequest.subject.operation = operation.id;
  reply.code(202).header("location", `/v1/operations/${operation.id}`);
  if (replayed) reply.header("idempotency-replayed", "true");
  return operationView(operation);
}

/** Independent of how the client wrote the body, because zod returns fields in a fixed order. */
function fingerprint(slug: string, request: OperationRequest): string {
  return hash("sha256", JSON.stringify([slug, request]));
}
