import pg from "pg";
import { type ErrorCode, InfraError } from "../../core/errors.ts";

/** By SQLSTATE or its two-character class: postgresql.org/docs/current/errcodes-appendix.html */
const BY_STATE: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  "28": ["RDEV_UNAUTHORIZED", "refused the user or the password in {variable}"],
  "42501": ["RDEV_FORBIDDEN", "does not let the user of {variable} do this"],
  "3D000": ["RDEV_UNREACHABLE", "has no database with the name in {variable}"],
  "57014": ["RDEV_DEADLINE", "did not finish in time"],
  "08": ["RDEV_UNREACHABLE", "ended the connection"],
  "40": ["RDEV_UNREACHABLE", "rolled back in favor of another transaction"],
  "53": ["RDEV_UNREACHABLE", "has insufficient resources for this"],
  "57": ["RDEV_UNREACHABLE", "is starting or stopping"],
};

/** Turns an error of `pg` into an InfraError. `variable` is where host and port came from. */
export function postgresError(
  error: unknown,
  address: string,
  variable = "POSTGRES_ADMIN_URL",
): Error {
  if (error instanceof InfraError) return error;
  const { code, message } = error as Error & { code?: string };
  if (!(error instanceof pg.DatabaseError)) {
    // pg has no code for its own timeouts, only these texts.
    if (/timeout/i.test(message)) {
      return new InfraError("RDEV_DEADLINE", `PostgreSQL at ${address} did not answer in time.`);
    }
    return new InfraError(
      "RDEV_UNREACHABLE",
      `PostgreSQL at ${address} cannot be reached (${code ?? message}). ` +
        `Is it up, and ${variable} right?`,
    );
  }
  const [ours, text] = BY_STATE[code ?? ""] ??
    BY_STATE[code?.slice(0, 2) ?? ""] ?? ["RDEV_REFUSED", "refused a statement"];
  const details = [message, error.detail].filter(Boolean).join("; ").slice(0, 500);
  const what = text.replace("{variable}", variable);
  return new InfraError(ours, `PostgreSQL at ${address} ${what}: ${details} (${code}).`);
}
