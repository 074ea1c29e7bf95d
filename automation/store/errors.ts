import pg from "pg";
import { type ErrorCode, InfraError } from "../../core/errors.ts";
import { postgresError } from "../../providers/postgres/errors.ts";

/** SQLSTATE: undefined table, column or function. */
const NOT_MIGRATED = new Set(["42P01", "42703", "42883"]);

/** Turns an error of the service's database into an InfraError. Other errors are returned unchanged. */
export function storeError(error: unknown, address: string): unknown {
  if (error instanceof pg.DatabaseError && NOT_MIGRATED.has(error.code ?? "")) {
    return new InfraError(
      "RDEV_STORE",
      `The database at ${address} does not have the schema of this version (${error.message}). ` +
        "Run: rdev-infra store migrate",
    );
  }
  return isPostgresError(error) ? postgresError(error, address, "DATABASE_URL") : error;
}

/** Whether the same statement may succeed later. */
export function isTransient(error: unknown): boolean {
  return error instanceof InfraError && TRANSIENT.has(error.code);
}

/** PostgreSQL refuses a role without LOGIN like one with a wrong password, so that may be temporary. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  "RDEV_UNREACHABLE",
  "RDEV_DEADLINE",
  "RDEV_UNAUTHORIZED",
]);

function isPostgresError(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return true;
  if (!(error instanceof Error) || error instanceof InfraError) return false;
  // pg has no error class for a closed connection.
  return "syscall" in error || /connection|timeout|not queryable/i.test(error.message);
}
