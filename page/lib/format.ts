const MS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** `850 ms`, `2.4 s`, `1 min 05 s`, `3 h 12 min`. */
export function durationText(ms: number): string {
  if (ms < MS.second) return `${Math.round(ms)} ms`;
  if (ms < MS.minute) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MS.hour)
    return `${Math.floor(ms / MS.minute)} min ${pair((ms % MS.minute) / MS.second)} s`;
  return `${Math.floor(ms / MS.hour)} h ${pair((ms % MS.hour) / MS.minute)} min`;
}

function pair(value: number): string {
  return String(Math.floor(value)).padStart(2, "0");
}

/** `now`, `42 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; the date once it is longer ago than 30 days. */
export function agoText(at: string, now: number): string {
  const ms = now - Date.parse(at);
  if (ms < 5 * MS.second) return "now";
  if (ms < MS.minute) return `${Math.floor(ms / MS.second)} s ago`;
  if (ms < MS.hour) return `${Math.floor(ms / MS.minute)} min ago`;
  if (ms < MS.day) return `${Math.floor(ms / MS.hour)} h ago`;
  if (ms < 30 * MS.day) return `${Math.floor(ms / MS.day)} d ago`;
  return at.slice(0, 10);
}

/**
 * `2026-01-02 03:04:05`, in the time zone of the browser. The browser's own format by language would take 15 to
 * 40 ms of the first view to load.
 */
export function localTime(at: string): string {
  const date = new Date(at);
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * MS.minute);
  return shifted.toISOString().slice(0, 19).replace("T", " ");
}

/** `5,000`. */
export function numberText(value: number): string {
  return value.toLocaleString("en");
}

/** `1 project`, `5,000 projects`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${numberText(count)} ${count === 1 ? one : many}`;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The text if it is an address that is safe to link to: other schemes could run a script. */
export function linkTarget(text: unknown): string | undefined {
  if (typeof text !== "string" || !URL.canParse(text)) return undefined;
  return /^https?:$/.test(new URL(text).protocol) ? text : undefined;
}
