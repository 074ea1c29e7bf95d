declare const isJson: unique symbol;

/** JSON that PostgreSQL takes as `jsonb`. Columns of JSON take nothing else. */
export type JsonText = string & { readonly [isJson]: true };

/**
 * PostgreSQL refuses NUL and half of a surrogate pair in `jsonb`, and such text comes from other
 * systems or from a cut through an emoji. `JSON.stringify` writes both as escapes, also in keys.
 */
export function jsonText(value: unknown): JsonText {
  const text = JSON.stringify(value).replace(/\\(u0000|ud[89a-f][0-9a-f]{2}|[^])/g, (escape) =>
    escape.length > 2 ? "\ufffd" : escape,
  );
  return text as JsonText;
}
