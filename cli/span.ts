import { InvalidArgumentError } from "commander";
import { spanMs } from "../core/units.ts";

/** `30m`, `1h` or `7d`, as it stands. */
export function range(text: string): string {
  if (!text.endsWith("s") && spanMs(text) !== undefined) return text;
  throw new InvalidArgumentError("It is not like 30m, 1h or 7d.");
}

/** `30m`, `1h` or `7d`, in ms. */
export function span(text: string): number {
  return spanMs(range(text)) ?? 0;
}
