/** Anything else may mean something in Markdown or HTML, or to a host, in some place. */
const PLAIN = /^[A-Za-z0-9 .,/=()+-]$/;

/** What changes how the text around it is read: https://trojansource.codes */
const DIRECTION = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

/**
 * A text from outside as it may stand anywhere in Markdown or HTML. Every character that could mean
 * something is an entity: entities are never structure (https://spec.commonmark.org/0.31.2/#entity-
 * and-numeric-character-references). Inside of `<code>` hosts look neither for mentions nor for
 * references to issues; Gitea looks for mentions in the source, where there is no `@` either.
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
  // An element without content is dropped by some renderers, and an empty value is worth showing.
  return `<code>${escaped === "" ? "&quot;&quot;" : escaped}</code>`;
}

/** A link, or nothing where the address is none of http or https. */
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
