import { STATUS_CODES } from "node:http";
import type { FastifyError, FastifyRequest } from "fastify";
import {
  type FastifyPluginAsyncZod,
  hasZodFastifySchemaValidationErrors,
} from "fastify-type-provider-zod";
import { z } from "zod";
import { ERROR_CODES, type ErrorCode, HTTP_STATUS, InfraError } from "../../core/errors.ts";
import { InvalidTextError, invalidTextPaths } from "./invalid-text.ts";
import { errorCode, type Problem, type ProblemItem, problemResponse } from "./schemas/problem.ts";

/** The parts of a request that a problem can name. A request that Node could not parse has an id only. */
type RequestParts = Pick<FastifyRequest, "id"> &
  Partial<Pick<FastifyRequest, "body" | "query" | "params" | "headers" | "routeOptions">>;

/** The codes for Fastify's own statuses. Any other status is RDEV_REQUEST. */
const BY_STATUS: Readonly<Partial<Record<number, ErrorCode>>> = {
  404: "RDEV_NOT_FOUND",
  405: "RDEV_METHOD",
  413: "RDEV_TOO_LARGE",
  415: "RDEV_MEDIA_TYPE",
  429: "RDEV_RATE_LIMITED",
};

/** Replacements for Fastify's messages. */
const DETAILS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "The body is larger than the service accepts.",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "Send the body as content-type: application/json.",
  FST_ERR_CTP_EMPTY_JSON_BODY: "The body is empty. Send {}, or leave out the content-type.",
  FST_ERR_BAD_URL: "The URL has a % that does not begin an encoded character.",
  FST_ERR_MAX_PARAM_LENGTH: "A part of the URL is too long.",
};

/**
 * The answer to any error. For internal errors it has no details: they are in the log, under the same
 * id.
 */
export function problemOf(error: unknown, request: RequestParts): Problem {
  if (hasZodFastifySchemaValidationErrors(error) || error instanceof InvalidTextError) {
    return invalidRequest(request);
  }
  if (error instanceof InfraError) {
    const status = HTTP_STATUS[error.code];
    if (error.code === "RDEV_QUERY") return refusedQuery(error, request);
    return problem(error.code, status, status < 500 ? error.message : undefined, request);
  }
  const { statusCode = 500, code, message } = error as Partial<FastifyError>;
  if (statusCode < 400 || statusCode > 499) {
    return problem("RDEV_INTERNAL", 500, undefined, request);
  }
  const detail = DETAILS[code ?? ""] ?? message;
  return problem(BY_STATUS[statusCode] ?? "RDEV_REQUEST", statusCode, detail, request);
}

/** The answer to data that Node could not parse as a request. */
export function problemOfStatus(status: number, request: RequestParts): Problem {
  return problem(BY_STATUS[status] ?? "RDEV_REQUEST", status, STATUS_CODES[status], request);
}

function problem(
  code: ErrorCode,
  status: number,
  detail: string | undefined,
  { id }: RequestParts,
): Problem {
  const title = ERROR_CODES[code];
  const retry = status === 503 || status === 504 ? " Try again." : "";
  return {
    type: `/problems/${code}`,
    title,
    status,
    code,
    detail: detail ?? `${title}${retry} The service's log has the details of request ${id}.`,
    instance: `urn:uuid:${id}`,
  };
}

/** Citadel's error for a query in CPL, with its position. */
function refusedQuery({ code, message, position }: InfraError, request: RequestParts): Problem {
  const item = {
    in: "query" as const,
    pointer: "#/q",
    detail: message.split("\n")[0] ?? message,
    ...(position !== undefined && { position }),
  };
  return { ...problem(code, HTTP_STATUS[code], message, request), errors: [item] };
}

/** Validates all parts of a request again, because Fastify stops at the first invalid part. */
function invalidRequest(request: RequestParts): Problem {
  const schema = (request.routeOptions?.schema ?? {}) as Record<string, unknown>;
  const errors = [
    ...itemsOf("path", schema["params"], request.params),
    ...itemsOf("query", schema["querystring"], request.query),
    ...itemsOf("header", schema["headers"], request.headers),
    ...itemsOf("body", schema["body"], request.body),
  ];
  const count = errors.length === 1 ? "One thing is" : `${errors.length} things are`;
  const list = errors.map((item) => `${item.in} ${item.pointer}: ${item.detail}`).join("; ");
  const detail = `${count} wrong: ${list}`;
  return { ...problem("RDEV_REQUEST", HTTP_STATUS.RDEV_REQUEST, detail, request), errors };
}

function itemsOf(part: ProblemItem["in"], schema: unknown, value: unknown): ProblemItem[] {
  const invalidText = (part === "header" ? [] : invalidTextPaths(value)).map((path) => ({
    in: part,
    pointer: pointerOf(path),
    detail: "The text has a NUL character or a lone surrogate.",
    ...shownValue(value, path),
  }));
  return [...invalidText, ...schemaItems(part, schema, value)];
}

function schemaItems(part: ProblemItem["in"], schema: unknown, value: unknown): ProblemItem[] {
  if (!(schema instanceof z.ZodType)) return [];
  const issues = schema.safeParse(value).error?.issues ?? [];
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        in: part,
        pointer: pointerOf([...issue.path, key]),
        detail: "The name is unknown.",
      }));
    }
    return [
      {
        in: part,
        pointer: pointerOf(issue.path),
        detail: issue.message,
        // A header may hold a credential.
        ...(part !== "header" && shownValue(value, issue.path)),
      },
    ];
  });
}

/** A JSON pointer in a URI's fragment: https://www.rfc-editor.org/rfc/rfc6901#section-6 */
function pointerOf(path: readonly PropertyKey[]): string {
  const parts = path.map((key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1"));
  return `#${parts.map((part) => `/${encodeURIComponent(part.toWellFormed())}`).join("")}`;
}

const MAX_SHOWN = 100;

function shownValue(from: unknown, path: readonly PropertyKey[]): Pick<ProblemItem, "value"> {
  let value = from;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
    return {};
  const text = String(value).toWellFormed();
  return text.length <= MAX_SHOWN ? { value: text } : {};
}

const problemType = z
  .object({ code: errorCode, title: z.string(), status: z.int() })
  .meta({ id: "ProblemType" });

/** Serves the URLs that a problem's `type` has. */
export const problemRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get(
    "/problems/:code",
    {
      config: { access: "open" },
      schema: {
        tags: ["problems"],
        operationId: "getProblemType",
        security: [],
        summary: "The meaning of a problem's code",
        params: z.object({ code: errorCode }),
        response: { 200: problemType, 400: problemResponse("The code is unknown.") },
      },
    },
    async ({ params: { code } }) => ({ code, title: ERROR_CODES[code], status: HTTP_STATUS[code] }),
  );
};
