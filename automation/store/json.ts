declare const isJson: unique symbol;

/** JSON that PostgreSQL accepts as `jsonb`. JSON columns accept only this type. */
export type JsonText = string & { readonly [isJson]: true };

/**
 * Serializes a value, and replaces NUL and lone surrogates, which PostgreSQL refuses in `jsonb`. Other
 * systems send such text, and cutting an emoji makes it. `JSON.stringify` escapes both, in keys too.
 */
export function jsonText(value: unknown): JsonText {
  const text = JSON.stringify(value).replace(/\\(u0000|ud[89a-f][0-9a-f]{2}|[^])/g, (escape) =>
    escape.length > 2 ? "\ufffd" : escape,
  );
  return text as JsonText;
}
