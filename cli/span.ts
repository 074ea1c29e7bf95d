import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30m`, `1h` or `7d`, in ms. */
export function span(text: string): number {
  const [, count, unit = ""] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  const ms = UNIT_MS[unit];
  if (ms === undefined) throw new InvalidArgumentError("It is not like 30m, 1h or 7d.");
  return Number(count) * ms;
}
