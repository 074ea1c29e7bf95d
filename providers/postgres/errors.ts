import pg from "pg";
import { type ErrorCode, InfraError } from "../../core/errors.ts";

/** By SQLSTATE, or its class of two characters: postgresql.org/docs/current/errcodes-appendix.html */
const BY_STATE: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  "28": ["RDEV_UNAUTHORIZED", "refused the user or the password in {variable}"],
  "42501": ["RDEV_FORBIDDEN", "does not let the user of {variable} do this"],
  "3D000": ["RDEV_UNREACHABLE", "has no database of the name in {variable}"],
  "57014": ["RDEV_DEADLINE", "did not finish in time"],
  "08": ["RDEV_UNREACHABLE", "ended the connection"],
  "40": ["RDEV_UNREACHABLE", "gave way to another transaction"],
  "53": ["RDEV_UNREACHABLE", "has no room for this"],
  "57": ["RDEV_UNREACHABLE", "is starting or stopping"],
};

/** What `pg` throws, as an InfraError. `address` is host and port, `variable` names their source. */
export function postgresError(
  error: unknown,
  address: string,
  variable = "POSTGRES_ADMIN_URL",
): Error {
  if (error instanceof InfraError) return error;
  const { code, message } = error as Error & { code?: string };
  if (!(error instanceof pg.DatabaseError)) {
    // pg's own texts for its timeouts.
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
  const said = [message, error.detail].filter(Boolean).join("; ").slice(0, 500);
  const what = text.replace("{variable}", variable);
  return new InfraError(ours, `PostgreSQL at ${address} ${what}: ${said} (${code}).`);
}
