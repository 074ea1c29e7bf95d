const FIRST_WAIT = 500;
const LAST_WAIT = 60_000;
/** In ms: the longest that any attempt is put off, also where Citadel asks for more. */
export const MAX_WAIT = 15 * 60_000;

/**
 * How long to wait after so many failed attempts, in ms: twice as long after each, with jitter, so
 * that not all come back at once; at least what the server asked for.
 */
export function backoff(attempts: number, asked = 0, random = Math.random()): number {
  const most = Math.min(LAST_WAIT, FIRST_WAIT * 2 ** Math.max(0, attempts - 1));
  return Math.round(Math.min(MAX_WAIT, Math.max(asked, most * (0.5 + random / 2))));
}
