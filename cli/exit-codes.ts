import type { ErrorCode } from "../core/errors.ts";
import type { Outcome } from "../core/operation.ts";

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  changes: 3,
  destructive: 4,
  blocked: 5,
  unapproved: 6,
  interrupted: 130,
} as const;

export const EXIT_HELP = `
Exit codes:
  0    done
  1    failed, or not confirmed
  2    wrong usage or bad input: a stack name, config, query or environment variables
  3    preview --expect-no-changes found changes
  4    the same for many stacks, and something would be replaced or deleted
  5    a preview of many stacks found something that --block names
  6    a pull request's commit is not approved
  130  interrupted; run the same command again to continue`;

/** Errors that the caller can fix without looking at any server. */
const BAD_INPUT: ReadonlySet<string | undefined> = new Set<ErrorCode>([
  "RDEV_SLUG",
  "RDEV_STACK_NAME",
  "RDEV_CONNECTION",
  "RDEV_SETTINGS",
  "RDEV_QUERY",
  "RDEV_REQUEST",
  "RDEV_BACKUP_KEY",
]);

export function exitCode({ result, errors }: Pick<Outcome, "result" | "errors">): number {
  if (result === "succeeded") return EXIT.done;
  if (result === "cancelled") return EXIT.interrupted;
  if (errors.some(({ code }) => code === "RDEV_APPROVAL")) return EXIT.unapproved;
  return errors.some(({ code }) => BAD_INPUT.has(code)) ? EXIT.usage : EXIT.failed;
}
