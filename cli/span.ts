import { InvalidArgumentError } from "commander";
import { rangeMs } from "../core/cpl/range.ts";

/** `30m`, `1h` or `7d`, in ms. */
export function span(text: string): number {
  const ms = text.endsWith("s") ? undefined : rangeMs(text);
  if (ms === undefined) throw new InvalidArgumentError("It is not like 30m, 1h or 7d.");
  return ms;
}
