import { type ErrorCode, InfraError } from "../../core/errors.ts";

/** By how Redis, or ioredis, begins its message: the first that fits. */
const BY_MESSAGE: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [
    /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/,
    "RDEV_UNAUTHORIZED",
    "refused the user or the password in REDIS_ADMIN_URL",
  ],
  [/^NOPERM/, "RDEV_FORBIDDEN", "does not let the user of REDIS_ADMIN_URL do this"],
  [/timed out|ETIMEDOUT/i, "RDEV_DEADLINE", "did not answer in time"],
  [/^(LOADING|READONLY|MASTERDOWN|BUSY|MISCONF)/, "RDEV_UNREACHABLE", "is not ready for this"],
];

/** What ioredis throws, as an InfraError. `address` is host and port. */
export function redisError(error: unknown, address: string): Error {
  if (error instanceof InfraError) return error;
  const { name, message, code } = error as Error & { code?: string };
  const [, known, text] = BY_MESSAGE.find(([pattern]) => pattern.test(message)) ?? [];
  if (known) return new InfraError(known, `Redis at ${address} ${text}: ${message}`);
  if (name === "ReplyError") {
    return new InfraError("RDEV_REFUSED", `Redis at ${address} refused a command: ${message}`);
  }
  return new InfraError(
    "RDEV_UNREACHABLE",
    `Redis at ${address} cannot be reached (${code ?? message}). ` +
      "Is it up, and REDIS_ADMIN_URL right?",
  );
}
