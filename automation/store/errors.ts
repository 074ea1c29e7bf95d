import pg from "pg";
import { type ErrorCode, InfraError } from "../../core/errors.ts";
import { postgresError } from "../../providers/postgres/errors.ts";

/** By SQLSTATE: a table, a column or a function that is not there. */
const NOT_MIGRATED = new Set(["42P01", "42703", "42883"]);

/** What a statement on the service's database threw, as an InfraError; what is no fault of it stays. */
export function storeError(error: unknown, address: string): unknown {
  if (error instanceof pg.DatabaseError && NOT_MIGRATED.has(error.code ?? "")) {
    return new InfraError(
      "RDEV_STORE",
      `The database at ${address} is not as this version needs it (${error.message}). ` +
        "Run: rdev-infra store migrate",
    );
  }
  return isOfPostgres(error) ? postgresError(error, address, "DATABASE_URL") : error;
}

/** Whether the same statement may succeed later. What the database refuses for its content never does. */
export function mayPass(error: unknown): boolean {
  return error instanceof InfraError && PASSING.has(error.code);
}

/** A role that is locked out for a moment is refused as one with a wrong password is. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "RDEV_UNREACHABLE",
  "RDEV_DEADLINE",
  "RDEV_UNAUTHORIZED",
]);

function isOfPostgres(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return true;
  if (!(error instanceof Error) || error instanceof InfraError) return false;
  // pg has no class of its own for a connection that ended.
  return "syscall" in error || /connection|timeout|not queryable/i.test(error.message);
}
