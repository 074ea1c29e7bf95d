/** In characters. Longer values are cut in the middle. */
export const MAX_VALUE = 2_000;

/** How many common characters are kept before the first difference of two texts. */
const CONTEXT = 40;

/** Keeps the beginning and the end. The result fits in `limit` if that is 40 or more. */
export function cutMiddle(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const mark = ` … ${text.length} characters … `;
  const room = Math.max(0, limit - mark.length);
  const head = Math.ceil(room / 2);
  return trimEnd(text.slice(0, head)) + mark + trimStart(text.slice(text.length - (room - head)));
}

/** Cuts both texts so that their first difference stays visible. */
export function cutPair(
  before: string,
  after: string,
  limit: number,
): readonly [before: string, after: string] {
  if (before.length <= limit && after.length <= limit) return [before, after];
  let same = 0;
  while (same < before.length && before[same] === after[same]) same += 1;
  const from = Math.max(0, same - CONTEXT);
  if (from === 0) return [cutMiddle(before, limit), cutMiddle(after, limit)];
  const cut = (text: string) => `… ${cutMiddle(trimStart(text.slice(from)), limit - 2)}`;
  return [cut(before), cut(after)];
}

/** Removes half a surrogate pair at the end. */
function trimEnd(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}

/** Removes half a surrogate pair at the beginning. */
function trimStart(text: string): string {
  return /^[\uDC00-\uDFFF]/.test(text) ? text.slice(1) : text;
}

/** `1 stack`, `2 stacks`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}
