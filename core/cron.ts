import { CronExpressionParser } from "cron-parser";
import { InfraError } from "./errors.ts";

interface Schedule {
  /** Five fields, as in a crontab. */
  readonly schedule: string;
  /** Such as Europe/Berlin. */
  readonly timezone: string;
}

/** The last time of the schedule that is not after `now`. Throws RDEV_SETTINGS for a malformed schedule. */
export function lastTime({ schedule, timezone }: Schedule, now: Date): Date {
  try {
    // The library's times are before the given one.
    const currentDate = new Date(now.getTime() + 1);
    return CronExpressionParser.parse(schedule, { currentDate, tz: timezone }).prev().toDate();
  } catch (error) {
    throw new InfraError(
      "RDEV_SETTINGS",
      `The schedule "${schedule}" in the time zone "${timezone}" cannot be used: ` +
        `${error instanceof Error ? error.message : String(error)}. Set rdev:drift on the platform's stack.`,
    );
  }
}

/**
 * The time of the schedule that is due; undefined if none is. `last` is the last one that was begun. Without
 * one, only times after `since` count, so that a new schedule does not begin at once. Of the times that a
 * service missed, only the last is due.
 */
export function dueTime(
  schedule: Schedule,
  now: Date,
  last: Date | undefined,
  since: Date,
): Date | undefined {
  const time = lastTime(schedule, now);
  return time > (last ?? since) ? time : undefined;
}
