/** Any other character may have a meaning in Markdown, in HTML or for a host. */
const PLAIN = /^[A-Za-z0-9 .,/=()+-]$/;

/** Characters that change the reading direction of the text around them: https://trojansource.codes */
const DIRECTION = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

/**
 * Escapes a text from outside for any position in Markdown or HTML. Every character with a possible
 * meaning becomes an entity, and entities are never structure (https://spec.commonmark.org/0.31.2/#entity-
 * and-numeric-character-references). Hosts ignore mentions and issue references inside `<code>`. Gitea
 * looks for mentions in the source, which has no `@` either.
 */
export function code(text: string): string {
  const visible = text
    .toWellFormed()
    .replace(/\r\n?|\n/g, "⏎")
    .replace(DIRECTION, (sign) => `⟨U+${hex(sign)}⟩`)
    .replace(/[\p{Cc}\u2028\u2029]/gu, "\uFFFD");
  const escaped = visible.replace(/[\u0000-\u007f]/g, (sign) =>
    PLAIN.test(sign) ? sign : `&#${sign.charCodeAt(0)};`,
  );
  // Some renderers drop an empty element, and an empty value should be visible.
  return `<code>${escaped === "" ? "&quot;&quot;" : escaped}</code>`;
}

/** A link; undefined if the URL is neither http nor https. */
export function link(text: string, url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, href } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") return undefined;
  const safe = href.replace(/[^A-Za-z0-9:/?#=&%._~+-]/g, (sign) =>
    [...new TextEncoder().encode(sign)]
      .map((byte) => `%${byte.toString(16).padStart(2, "0")}`)
      .join(""),
  );
  return `[${text}](<${safe}>)`;
}

function hex(sign: string): string {
  return sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
}
