/** The stable codes of all errors that a user can see. docs/reference.md lists them. */
export const ERROR_CODES = {
  RDEV_SLUG: "A slug or a project's name breaks the rules for slugs.",
  RDEV_STACK_NAME: "A stack's name is neither <platform> nor <platform>.<slug>.",
  RDEV_CONNECTION: "Environment variables are missing or malformed.",
  RDEV_SETTINGS: "A stack's config lacks a setting or has a malformed one.",
  RDEV_PLATFORM: "The project's platform stack does not exist or was never brought up.",
  RDEV_NOT_OURS:
    "An object with that name exists, but rdev-infra did not make it for this project.",
  RDEV_ADOPT: "What exists cannot be adopted as it is; the error says what to change.",
  RDEV_UNAUTHORIZED: "A system refused the credentials.",
  RDEV_FORBIDDEN: "A system accepted the credentials, but they do not permit the action.",
  RDEV_RATE_LIMITED: "There were too many requests. Wait for the time given, then retry.",
  RDEV_UNREACHABLE: "A system is down, or its address is wrong.",
  RDEV_DEADLINE: "A system did not answer or finish in time.",
  RDEV_CONTRACT: "A system's answer does not match its API.",
  RDEV_REFUSED: "A system understood a request and refused it.",
  RDEV_GONE: "An object in the state no longer exists on its server.",
  RDEV_TEMPLATE: "A template uses an unknown variable or cannot be read.",
  RDEV_TEMPLATE_MERGE:
    "A template's update cannot be proposed to a project; the error says what to change.",
  RDEV_TENANT: "A tenant id is not a UUID, or Citadel has no tenant or group with that name.",
  RDEV_QUERY: "Citadel refused a query, its time range or its limit.",
  RDEV_CONFLICT: "An object with that name already exists in Citadel.",
  RDEV_TOO_LARGE: "A system refused a request because it is too large.",
  RDEV_APPROVAL: "Nobody with write access has approved the pull request's commit.",
  RDEV_CITADEL_OFF: "CITADEL_ENABLED=false would delete an environment and its logs.",
  RDEV_REQUEST: "A request to the API is malformed; the problem lists every mistake.",
  RDEV_KEY: "The API key is missing, unknown, expired or revoked.",
  RDEV_TOKEN: "The token or the session of a person or a service account is not valid here.",
  RDEV_ISSUER: "The issuer of tokens cannot be reached, so none can be verified. Keys still work.",
  RDEV_SIGN_IN: "A person's sign-in failed or was too slow. Start it again.",
  RDEV_ORIGIN: "Another site sent this request with the cookie of a person's browser.",
  RDEV_IDENTITY: "The settings of people and service accounts are missing or malformed.",
  RDEV_NOTIFICATIONS: "The settings of receivers are missing or malformed.",
  RDEV_SIGNATURE: "The signature of a forge's webhook is missing or wrong.",
  RDEV_PREVIEWS: "The settings of previews by the service are missing or malformed.",
  RDEV_ACCOUNT: "The registry account is missing, unknown or replaced, or its password is wrong.",
  RDEV_ROLE: "The caller's role, or the project it is bound to, does not permit this.",
  RDEV_NOT_FOUND: "The API has no such project, operation or address.",
  RDEV_METHOD: "The address exists, but does not support this method.",
  RDEV_MEDIA_TYPE: "A request's body is not application/json.",
  RDEV_IN_USE: "The platform still has projects, so it cannot be destroyed.",
  RDEV_BUSY: "Another operation of the project is queued or running.",
  RDEV_ROLLBACK:
    "The rollback would delete objects that the operation did not make, so nothing was done.",
  RDEV_PLAN: "What would be done is not what was approved, so nothing was done.",
  RDEV_ROLLOUT: "The rollout's state does not permit this, or it selects no project.",
  RDEV_DRIFT: "To fix the drift of a project takes more than the policy permits.",
  RDEV_IDEMPOTENCY: "The Idempotency-Key was already used for another request.",
  RDEV_REMAINS: "A destroy left something behind; the next destroy continues from there.",
  RDEV_STORE: "The service's database does not match this version; migrate it.",
  RDEV_BACKUP: "A backup's archive is cut short, changed or incomplete, or cannot be written.",
  RDEV_BACKUP_KEY: "A backup was made for another key, or the key is malformed.",
  RDEV_BACKUP_VERSION:
    "A newer version of rdev-infra made the backup. Restore it with that version.",
  RDEV_NOT_EMPTY: "A restore needs an empty platform, and something is there.",
  RDEV_AUDIT: "The audit log is broken, or an event could not be written to it.",
  RDEV_ENGINE: "Pulumi's engine could not run, or an operation failed.",
  RDEV_PREREQUISITE: "This machine lacks a required program or feature.",
  RDEV_SANDBOX: "A part of the local platform could not be built or started.",
  RDEV_INTERNAL: "A bug in rdev-infra.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * The HTTP status of each error in the API. An error of a system behind the service is a 5xx:
 * RDEV_UNAUTHORIZED, for example, is about the service's own credentials, not the caller's.
 */
export const HTTP_STATUS = {
  RDEV_SLUG: 400,
  RDEV_STACK_NAME: 400,
  RDEV_CONNECTION: 500,
  RDEV_SETTINGS: 400,
  RDEV_PLATFORM: 409,
  RDEV_NOT_OURS: 409,
  RDEV_ADOPT: 409,
  RDEV_UNAUTHORIZED: 503,
  RDEV_FORBIDDEN: 503,
  RDEV_RATE_LIMITED: 429,
  RDEV_UNREACHABLE: 503,
  RDEV_DEADLINE: 504,
  RDEV_CONTRACT: 502,
  RDEV_REFUSED: 502,
  RDEV_GONE: 409,
  RDEV_TEMPLATE: 400,
  RDEV_TEMPLATE_MERGE: 409,
  RDEV_TENANT: 502,
  RDEV_QUERY: 400,
  RDEV_CONFLICT: 409,
  RDEV_TOO_LARGE: 413,
  RDEV_APPROVAL: 409,
  RDEV_CITADEL_OFF: 409,
  RDEV_REQUEST: 400,
  RDEV_KEY: 401,
  RDEV_TOKEN: 401,
  RDEV_ISSUER: 503,
  RDEV_SIGN_IN: 400,
  RDEV_ORIGIN: 403,
  RDEV_IDENTITY: 500,
  RDEV_NOTIFICATIONS: 500,
  RDEV_SIGNATURE: 401,
  RDEV_PREVIEWS: 500,
  RDEV_ACCOUNT: 401,
  RDEV_ROLE: 403,
  RDEV_NOT_FOUND: 404,
  RDEV_METHOD: 405,
  RDEV_MEDIA_TYPE: 415,
  RDEV_IN_USE: 409,
  RDEV_BUSY: 409,
  RDEV_ROLLBACK: 409,
  RDEV_PLAN: 409,
  RDEV_ROLLOUT: 409,
  RDEV_DRIFT: 409,
  RDEV_IDEMPOTENCY: 422,
  RDEV_REMAINS: 409,
  RDEV_STORE: 503,
  RDEV_BACKUP: 500,
  RDEV_BACKUP_KEY: 500,
  RDEV_BACKUP_VERSION: 500,
  RDEV_NOT_EMPTY: 409,
  RDEV_AUDIT: 503,
  RDEV_ENGINE: 502,
  RDEV_PREREQUISITE: 500,
  RDEV_SANDBOX: 500,
  RDEV_INTERNAL: 500,
} as const satisfies Record<ErrorCode, number>;

/** An error for users: a stable code, and a message that says what to do. It contains no secret. */
export class InfraError extends Error {
  readonly code: ErrorCode;
  /** The HTTP status of the system's answer, if there was one. */
  readonly status: number | undefined;
  /** The wait that the system asked for, in ms. */
  readonly retryAfter: number | undefined;
  /** The position of the mistake in the refused text, from 0, if the system gave it. */
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

const TEMPORARY: ReadonlySet<ErrorCode> = new Set([
  "RDEV_UNREACHABLE",
  "RDEV_DEADLINE",
  "RDEV_RATE_LIMITED",
]);

/** Whether the same request to a system may succeed later. */
export function isTemporary(error: unknown): error is InfraError {
  return error instanceof InfraError && TEMPORARY.has(error.code);
}

export interface InfraErrorOptions extends ErrorOptions {
  readonly status?: number | undefined;
  readonly retryAfter?: number | undefined;
  readonly position?: number | undefined;
}

/** One error for several problems: a head line, then a line for each problem. */
export function problems(code: ErrorCode, head: string, lines: readonly string[]): InfraError {
  return new InfraError(code, [head, ...lines.map((line) => `  - ${line}`)].join("\n"));
}

/** Turns any thrown value into an InfraError. A value of another class means a bug in rdev-infra. */
export function asInfraError(error: unknown): InfraError {
  if (error instanceof InfraError) return error;
  return new InfraError("RDEV_INTERNAL", error instanceof Error ? error.message : String(error));
}

/** The text of any thrown value for users: `CODE: message`, without a stack trace. */
export function userMessage(error: unknown): string {
  const { code, message } = asInfraError(error);
  return `${code}: ${message}`;
}

/** Replaces secrets in a text from outside. Secrets shorter than 4 characters are kept. */
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
