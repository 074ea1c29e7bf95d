const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The ms of `30s`, `30m`, `1h` or `7d`; undefined for anything else. */
export function rangeMs(range: string): number | undefined {
  const [, count, unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(range) ?? [];
  const unitMs = UNIT_MS[unit];
  return count === undefined || unitMs === undefined ? undefined : Number(count) * unitMs;
}
