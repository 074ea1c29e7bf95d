import type { Timing } from "../../core/operation.ts";
import { durationText, paint, printable } from "../text.ts";

/** The steps of an operation as lines: when each began, how long it took, and what it was. */
export function timingLines(timings: readonly Timing[]): string[] {
  if (timings.length === 0) return [];
  return [
    "Where the time went (start, duration; steps overlap):",
    ...timings.map(({ kind, name, startMs, durationMs }) => {
      const times = [startMs, durationMs].map((ms) => durationText(ms).padStart(7)).join("  ");
      return `${times}  ${kind.padEnd(8)}  ${paint("dim", printable(name))}`;
    }),
  ];
}

/** The option of the commands that can print them. */
export const TIMINGS = ["--timings", "also list the steps with their times"] as const;
