import { STATUS_CODES } from "node:http";
import type { FastifyError, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { z } from "zod";
import { ERROR_CODES, type ErrorCode, HTTP_STATUS, InfraError } from "../../core/errors.ts";
import { IllFormedRequest, illFormedPaths } from "./ill-formed.ts";
import type { Problem, ProblemItem } from "./schemas/problem.ts";

/** What a problem is told of. */
type Asked = Pick<FastifyRequest, "id"> &
  Partial<Pick<FastifyRequest, "body" | "query" | "params" | "headers" | "routeOptions">>;

/** What Fastify's own statuses mean in ours; a status that is not here is RDEV_REQUEST. */
const BY_STATUS: Readonly<Partial<Record<number, ErrorCode>>> = {
  404: "RDEV_NOT_FOUND",
  405: "RDEV_METHOD",
  413: "RDEV_TOO_LARGE",
  415: "RDEV_MEDIA_TYPE",
  429: "RDEV_RATE_LIMITED",
};

/** The way out, for what Fastify says in words of its own. */
const DETAILS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "The body is larger than the service takes.",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "Send the body as content-type: application/json.",
  FST_ERR_CTP_EMPTY_JSON_BODY: "The body is empty. Send {} or leave the content-type out.",
  FST_ERR_BAD_URL: "The address holds a % that begins no character.",
  FST_ERR_MAX_PARAM_LENGTH: "A part of the address is too long.",
};

/**
 * What a client is told of any error. Nothing of what went wrong inside: that is in the log, under
 * the same id.
 */
export function problemOf(error: unknown, request: Asked): Problem {
  if (hasZodFastifySchemaValidationErrors(error) || error instanceof IllFormedRequest) {
    return invalid(request);
  }
  if (error instanceof InfraError) {
    const status = HTTP_STATUS[error.code];
    return problem(error.code, status, status < 500 ? error.message : undefined, request);
  }
  const { statusCode = 500, code, message } = error as Partial<FastifyError>;
  if (statusCode < 400 || statusCode > 499) {
    return problem("RDEV_INTERNAL", 500, undefined, request);
  }
  const detail = DETAILS[code ?? ""] ?? message;
  return problem(BY_STATUS[statusCode] ?? "RDEV_REQUEST", statusCode, detail, request);
}

/** Of a request that did not get so far as to be one. */
export function problemOfStatus(status: number, request: Asked): Problem {
  return problem(BY_STATUS[status] ?? "RDEV_REQUEST", status, STATUS_CODES[status], request);
}

function problem(
  code: ErrorCode,
  status: number,
  detail: string | undefined,
  { id }: Asked,
): Problem {
  const title = ERROR_CODES[code];
  const again = status === 503 || status === 504 ? " Try again." : "";
  return {
    type: `/problems/${code}`,
    ...{ title, status, code },
    detail: detail ?? `${title}${again} The service's log says more of request ${id}.`,
    instance: `urn:uuid:${id}`,
  };
}

/** All that is wrong with all parts of a request: Fastify stops at the first part. */
function invalid(request: Asked): Problem {
  const schema = (request.routeOptions?.schema ?? {}) as Record<string, unknown>;
  const errors = [
    ...itemsOf("path", schema["params"], request.params),
    ...itemsOf("query", schema["querystring"], request.query),
    ...itemsOf("header", schema["headers"], request.headers),
    ...itemsOf("body", schema["body"], request.body),
  ];
  const many = errors.length === 1 ? "One thing is" : `${errors.length} things are`;
  const list = errors.map((item) => `${item.in} ${item.pointer}: ${item.detail}`).join("; ");
  const detail = `${many} wrong: ${list}`;
  return { ...problem("RDEV_REQUEST", HTTP_STATUS.RDEV_REQUEST, detail, request), errors };
}

function itemsOf(part: ProblemItem["in"], schema: unknown, given: unknown): ProblemItem[] {
  const illFormed = (part === "header" ? [] : illFormedPaths(given)).map((path) => ({
    ...{ in: part, pointer: pointerOf(path), detail: "It holds NUL or half of a surrogate pair." },
    ...shown(given, path),
  }));
  return [...illFormed, ...schemaItems(part, schema, given)];
}

function schemaItems(part: ProblemItem["in"], schema: unknown, given: unknown): ProblemItem[] {
  if (!(schema instanceof z.ZodType)) return [];
  const issues = schema.safeParse(given).error?.issues ?? [];
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        ...{ in: part, pointer: pointerOf([...issue.path, key]) },
        detail: "There is nothing of this name here.",
      }));
    }
    return [
      {
        ...{ in: part, pointer: pointerOf(issue.path), detail: issue.message },
        // A header may be a credential.
        ...(part !== "header" && shown(given, issue.path)),
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

function shown(given: unknown, path: readonly PropertyKey[]): Pick<ProblemItem, "value"> {
  let value = given;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
    return {};
  const text = String(value).toWellFormed();
  return text.length <= MAX_SHOWN ? { value: text } : {};
}
