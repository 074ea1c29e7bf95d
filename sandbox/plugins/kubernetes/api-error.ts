/** The API server's answer to a request that failed. */
export interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { reason?: string; message?: string; field?: string }[];
  };
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly status: Status;

  constructor(code: number, status: Status) {
    super(status.message ?? `the Kubernetes API server answered ${code}`);
    this.code = code;
    this.status = status;
  }
}

/** The API server could not be reached. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** The API server does not serve the kind, usually because its CustomResourceDefinition is missing. */
export class UnknownKindError extends Error {
  override readonly name = "UnknownKindError";
}

const isReason = (error: unknown, reason: string): error is ApiError =>
  error instanceof ApiError && error.status.reason === reason;

export const isNotFound = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 404;
export const isAlreadyExists = (error: unknown): error is ApiError =>
  isReason(error, "AlreadyExists");
export const isForbidden = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 403;

/** Adds the conflicting fields and the ways out to a conflict of server-side apply. */
export function explainConflict(error: unknown, manager: string): unknown {
  if (!isReason(error, "Conflict")) return error;
  const causes = error.status.details?.causes ?? [];
  const fields = causes
    .filter(({ reason }) => reason === "FieldManagerConflict")
    .map(
      ({ field, message }) =>
        `\n  ${field ?? "a field"}: ${message ?? "another field manager owns it"}`,
    );
  if (fields.length === 0) return error;
  return new Error(
    `${error.message}\nThe field manager "${manager}" of this resource conflicts with another one:` +
      `${fields.join("")}\n` +
      "Remove these fields from the program, add them to ignoreChanges, or take them over by the annotation " +
      'pulumi.com/patchForce: "true".',
  );
}

/** The error of a Patch resource that is deleted although it manages a required field. */
export function explainRequiredField(error: unknown): unknown {
  const causes = error instanceof ApiError ? error.status.details?.causes : undefined;
  const required = causes?.find(({ reason }) => reason === "FieldValueRequired");
  if (required === undefined) return error;
  return new Error(
    `this Patch resource manages the required field ${required.field ?? ""}, which cannot be removed: ` +
      "set retainOnDelete, or let another field manager take the field over first",
  );
}

/**
 * Errors of a dry run that the update itself may not have: the same run may create the namespace, the
 * kind or the cluster, or replace an existing object; and only the dry run may be forbidden.
 */
export const isToleratedInPreview = (error: unknown): boolean =>
  isNotFound(error) ||
  isForbidden(error) ||
  isAlreadyExists(error) ||
  error instanceof UnknownKindError ||
  error instanceof UnreachableError;

export const explainExisting = (error: Error): Error =>
  new Error(
    `${error.message}: it was not made by this resource and is left unchanged. To manage it, import it ` +
      "(the resource option `import`); to manage some of its fields, use a Patch resource; if a resource " +
      "was renamed, give it an alias.",
  );

export const explainMissing = (error: unknown): Error =>
  new Error(
    `${String((error as Error).message)}: it was deleted outside of Pulumi; run a refresh first`,
  );
