/** Every error that a user can meet, by its stable code. docs/reference.md lists them. */
export const ERROR_CODES = {
  RDEV_SLUG: "A slug, or a project's name, breaks the slug rules.",
  RDEV_STACK_NAME: "A stack's name is neither <platform> nor <platform>.<slug>.",
  RDEV_CONNECTION: "Environment variables are missing or malformed.",
  RDEV_SETTINGS: "A stack's config is missing a setting, or holds one that is malformed.",
  RDEV_PLATFORM: "The platform stack of a project does not exist, or was never brought up.",
  RDEV_NOT_OURS: "An object of that name exists and was not made by rdev-infra for this project.",
  RDEV_UNAUTHORIZED: "A system refused the credentials.",
  RDEV_FORBIDDEN: "The credentials are right, but are not allowed to do this.",
  RDEV_RATE_LIMITED: "Too much was asked for at once: wait as long as it says, then ask again.",
  RDEV_UNREACHABLE: "A system is down, or its address is wrong.",
  RDEV_DEADLINE: "A system did not answer, or did not finish, in time.",
  RDEV_CONTRACT: "A system's answer is not what its API promises.",
  RDEV_REFUSED: "A system understood a request and refused it.",
  RDEV_GONE: "An object that is in the state is no longer on its server.",
  RDEV_TEMPLATE: "A template holds an unknown variable, or cannot be read.",
  RDEV_TENANT: "A tenant id is no UUID, or Citadel knows no tenant or group of that name.",
  RDEV_QUERY: "Citadel does not understand a query, its time range or its limit.",
  RDEV_CONFLICT: "An object of that name exists already in Citadel.",
  RDEV_TOO_LARGE: "A system refused a request for its size.",
  RDEV_APPROVAL: "A pull request's commit has no approval by a person with write access.",
  RDEV_CITADEL_OFF: "CITADEL_ENABLED=false would delete an environment, and its logs.",
  RDEV_REQUEST: "A request to the API is malformed; its problem names all that is wrong.",
  RDEV_KEY: "The API key is missing, unknown, expired or revoked.",
  RDEV_ACCOUNT: "The registry account is missing, unknown, replaced, or its password is wrong.",
  RDEV_ROLE: "The API key's role, or the project that it is bound to, does not allow this.",
  RDEV_NOT_FOUND: "The API knows no such project, operation or address.",
  RDEV_METHOD: "The address exists, but not with this method.",
  RDEV_MEDIA_TYPE: "A request's body is not application/json.",
  RDEV_IN_USE: "A platform still has projects, so it is not destroyed.",
  RDEV_BUSY: "Another operation of the project runs or waits.",
  RDEV_ROLLBACK: "A rollback would delete what the operation did not make: nothing was done.",
  RDEV_IDEMPOTENCY: "An Idempotency-Key was used before, for another request.",
  RDEV_REMAINS: "A destroy left something; the next one goes on from there.",
  RDEV_STORE: "The service's database is not as this version needs it: migrate it.",
  RDEV_AUDIT: "The audit trail is broken, or an action's event could not be written to it.",
  RDEV_ENGINE: "Pulumi's engine could not run, or an operation failed.",
  RDEV_PREREQUISITE: "This machine lacks something that is needed.",
  RDEV_SANDBOX: "A part of the local platform could not be built or started.",
  RDEV_INTERNAL: "A mistake in rdev-infra itself.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * With which HTTP status the API tells of an error. What a system behind it did is no fault of who
 * asked: RDEV_UNAUTHORIZED, say, is of credentials that the service itself holds.
 */
export const HTTP_STATUS = {
  RDEV_SLUG: 400,
  RDEV_STACK_NAME: 400,
  RDEV_CONNECTION: 500,
  RDEV_SETTINGS: 400,
  RDEV_PLATFORM: 409,
  RDEV_NOT_OURS: 409,
  RDEV_UNAUTHORIZED: 503,
  RDEV_FORBIDDEN: 503,
  RDEV_RATE_LIMITED: 429,
  RDEV_UNREACHABLE: 503,
  RDEV_DEADLINE: 504,
  RDEV_CONTRACT: 502,
  RDEV_REFUSED: 502,
  RDEV_GONE: 409,
  RDEV_TEMPLATE: 400,
  RDEV_TENANT: 502,
  RDEV_QUERY: 400,
  RDEV_CONFLICT: 409,
  RDEV_TOO_LARGE: 413,
  RDEV_APPROVAL: 409,
  RDEV_CITADEL_OFF: 409,
  RDEV_REQUEST: 400,
  RDEV_KEY: 401,
  RDEV_ACCOUNT: 401,
  RDEV_ROLE: 403,
  RDEV_NOT_FOUND: 404,
  RDEV_METHOD: 405,
  RDEV_MEDIA_TYPE: 415,
  RDEV_IN_USE: 409,
  RDEV_BUSY: 409,
  RDEV_ROLLBACK: 409,
  RDEV_IDEMPOTENCY: 422,
  RDEV_REMAINS: 409,
  RDEV_STORE: 503,
  RDEV_AUDIT: 503,
  RDEV_ENGINE: 502,
  RDEV_PREREQUISITE: 500,
  RDEV_SANDBOX: 500,
  RDEV_INTERNAL: 500,
} as const satisfies Record<ErrorCode, number>;

/** An error for a user: a stable code, and a text that names the way out. Holds no secret. */
export class InfraError extends Error {
  readonly code: ErrorCode;
  /** The HTTP status behind it, where there was one. */
  readonly status: number | undefined;
  /** How long the system asked to wait, in ms, where it did. */
  readonly retryAfter: number | undefined;
  /** Where in the text that was refused, from 0, where the system said so. */
  readonly position: number | undefined;

  constructor(code: ErrorCode, message: string, options: InfraErrorOptions = {}) {
    super(message, options);
    this.name = code;
    this.code = code;
    this.status = options.status;
    this.retryAfter = options.retryAfter;
    this.position = options.position;
  }
}

export interface InfraErrorOptions extends ErrorOptions {
  readonly status?: number | undefined;
  readonly retryAfter?: number | undefined;
  readonly position?: number | undefined;
}

/** One error for all problems found: a head line, then a line for each. */
export function problems(code: ErrorCode, head: string, lines: readonly string[]): InfraError {
  return new InfraError(code, [head, ...lines.map((line) => `  - ${line}`)].join("\n"));
}

/** Any thrown value, as an InfraError: what is none is a mistake of ours. */
export function asInfraError(error: unknown): InfraError {
  if (error instanceof InfraError) return error;
  return new InfraError("RDEV_INTERNAL", error instanceof Error ? error.message : String(error));
}

/** What a user may read of any thrown value: `CODE: message`, never a stack. */
export function userMessage(error: unknown): string {
  const { code, message } = asInfraError(error);
  return `${code}: ${message}`;
}

/** Takes secrets out of a text that came from elsewhere. Shorter than 4 characters is left alone. */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret.length < 4) continue;
    for (const form of [secret, encodeURIComponent(secret)]) {
      clean = clean.replaceAll(form, "[secret]");
    }
  }
  return clean;
}
