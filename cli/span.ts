import { InvalidArgumentError } from "commander";
import { rangeMs } from "../core/cpl/range.ts";

/** `30m`, `1h` or `7d`, as it stands. */
export function range(text: string): string {
  if (!text.endsWith("s") && rangeMs(text) !== undefined) return text;
  throw new InvalidArgumentError("It is not like 30m, 1h or 7d.");
}

/** `30m`, `1h` or `7d`, in ms. */
export function span(text: string): number {
  return rangeMs(range(text)) ?? 0;
}
