/** `from` is included, `before` is not. */
export interface TimeSpan {
  readonly from: Date;
  readonly before: Date;
}

/** The lines that one query of Citadel can return. */
export const MAX_LIMIT = 500;

/** How far back a search may reach. No platform keeps lines for so long. */
export const MAX_DAYS = 3_650;

const MINUTE = 60_000;
const DAY = 1440;
/** Citadel's ranges have at most 6 digits. */
const MAX_NUMBER = 999_999;

/** A query range that reaches back to `from`. */
export function rangeFrom(from: Date): string {
  const minutes = Math.max(1, Math.ceil((Date.now() - Number(from)) / MINUTE) + 1);
  if (minutes <= MAX_NUMBER) return `${minutes}m`;
  return `${Math.min(MAX_NUMBER, Math.ceil(minutes / DAY))}d`;
}
