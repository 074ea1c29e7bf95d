import { z } from "zod";
import { ERROR_CODES, type ErrorCode } from "../../../core/errors.ts";

export const PROBLEM_TYPE = "application/problem+json";

const wrong = z
  .object({
    in: z.enum(["body", "query", "path", "header"]).meta({ description: "Where it stands." }),
    pointer: z.string().meta({
      description: "Which part of that, as a JSON pointer in a fragment.",
      examples: ["#/sizes/replicas"],
    }),
    detail: z.string().meta({ examples: ["Too big: expected number to be <=20"] }),
    value: z
      .string()
      .optional()
      .meta({
        description: "What was given, as text, where it is short and plain.",
        examples: ["21"],
      }),
  })
  .meta({ id: "ProblemItem", description: "One thing that is wrong with a request." });

/** RFC 9457: https://www.rfc-editor.org/rfc/rfc9457 */
export const problemSchema = z
  .object({
    type: z.string().meta({
      description: "Says what the code means, relative to the service.",
      examples: ["/problems/RDEV_REQUEST"],
    }),
    title: z.string().meta({ examples: [ERROR_CODES.RDEV_REQUEST] }),
    status: z.int().meta({ examples: [400] }),
    detail: z.string().meta({ description: "What was wrong, and the way out." }),
    instance: z.string().meta({
      description: "This occurrence; the service's log has it as `request_id`.",
      examples: ["urn:uuid:0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11"],
    }),
    code: z
      .enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]])
      .meta({ id: "ErrorCode", description: "Stable: programs may rely on it." }),
    errors: z.array(wrong).optional().meta({ description: "All that is wrong, at once." }),
  })
  .meta({ id: "Problem", description: "Why a request was not done (RFC 9457)." });

export type Problem = z.output<typeof problemSchema>;
export type ProblemItem = z.output<typeof wrong>;

const TEXTS = {
  400: "The request is malformed.",
  401: "The key is missing, unknown, expired or revoked.",
  403: "The key's role or project does not allow this.",
  404: "There is no such thing.",
  409: "It contradicts what is, as another operation that runs.",
  413: "The body is too large.",
  415: "The body is not application/json.",
  422: "The Idempotency-Key was used for another request.",
  429: "Too many requests; the header Retry-After says how many seconds to wait.",
  500: "A mistake in the service.",
  503: "The service, or its database, is not ready; try again.",
} as const;

/** The responses of a route that tell of problems: those named, and those that every route has. */
export function problemResponses(...statuses: (keyof typeof TEXTS)[]) {
  const all = [...statuses, 401, 403, 429, 500, 503] as const;
  return Object.fromEntries(all.map((status) => [status, problemResponse(TEXTS[status])]));
}

export function problemResponse(description: string) {
  return { description, content: { [PROBLEM_TYPE]: { schema: problemSchema } } };
}
