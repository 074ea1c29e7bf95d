/** In characters; what is longer is cut in the middle. */
export const MAX_VALUE = 2_000;

/** How much of what two texts have in common is left before their first difference. */
const CONTEXT = 40;

/** Leaves the beginning and the end. The result is never longer than `limit`, where that is 40 or more. */
export function cutMiddle(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const mark = ` … ${text.length} characters … `;
  const room = Math.max(0, limit - mark.length);
  const head = Math.ceil(room / 2);
  return whole(text.slice(0, head)) + mark + wholeEnd(text.slice(text.length - (room - head)));
}

/** Cuts both so that where they begin to differ is still to be seen. */
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
  const cut = (text: string) => `… ${cutMiddle(wholeEnd(text.slice(from)), limit - 2)}`;
  return [cut(before), cut(after)];
}

/** Without half of a surrogate pair at its end. */
function whole(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}

/** Without half of a surrogate pair at its beginning. */
function wholeEnd(text: string): string {
  return /^[\uDC00-\uDFFF]/.test(text) ? text.slice(1) : text;
}

/** `1 stack`, `2 stacks`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
