import { z } from "zod";
import { ERROR_CODES, type ErrorCode } from "../../../core/errors.ts";

export const PROBLEM_TYPE = "application/problem+json";

export const errorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

const problemItem = z
  .object({
    in: z
      .enum(["body", "query", "path", "header"])
      .meta({ description: "The part of the request." }),
    pointer: z.string().meta({
      description: "The value in that part, as a JSON pointer in a fragment.",
      examples: ["#/sizes/replicas"],
    }),
    detail: z.string().meta({ examples: ["Too big: expected number to be <=20"] }),
    value: z
      .string()
      .optional()
      .meta({
        description: "The value as text, if it is short and not an object.",
        examples: ["21"],
      }),
    position: z.int().optional().meta({
      description: "The place of the mistake in the value: UTF-16 units from 0.",
    }),
  })
  .meta({ id: "ProblemItem", description: "One error in a request." });

/** RFC 9457: https://www.rfc-editor.org/rfc/rfc9457 */
export const problemSchema = z
  .object({
    type: z.string().meta({
      description: "The address of the code's meaning, relative to the service.",
      examples: ["/problems/RDEV_REQUEST"],
    }),
    title: z.string().meta({ examples: [ERROR_CODES.RDEV_REQUEST] }),
    status: z.int().meta({ examples: [400] }),
    detail: z.string().meta({ description: "What was wrong, and what to do." }),
    instance: z.string().meta({
      description: "The id of this occurrence; the service's log has it as `request_id`.",
      examples: ["urn:uuid:0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11"],
    }),
    code: errorCode.meta({ id: "ErrorCode", description: "Stable: programs can rely on it." }),
    errors: z.array(problemItem).optional().meta({ description: "All errors in the request." }),
  })
  .meta({ id: "Problem", description: "Why a request was refused or failed (RFC 9457)." });

export type Problem = z.output<typeof problemSchema>;
export type ProblemItem = z.output<typeof problemItem>;

const TEXTS = {
  400: "The request is malformed.",
  401: "The key, token or session is missing, unknown, expired or revoked.",
  403: "The caller's role or project does not allow this.",
  404: "The project, operation or address does not exist.",
  409: "The request conflicts with the current state, such as a running operation.",
  413: "The body is too large.",
  415: "The body is not application/json.",
  422: "The Idempotency-Key was used for another request.",
  429: "Too many requests; the header Retry-After says how many seconds to wait.",
  500: "An error in the service.",
  503: "The service or its database is not ready; try again.",
} as const;

/** The problem responses of a route: the given ones, and those that every route has. */
export function problemResponses(...statuses: (keyof typeof TEXTS)[]) {
  const all = [...statuses, 401, 403, 429, 500, 503] as const;
  return Object.fromEntries(all.map((status) => [status, problemResponse(TEXTS[status])]));
}

export function problemResponse(description: string) {
  return { description, content: { [PROBLEM_TYPE]: { schema: problemSchema } } };
}
