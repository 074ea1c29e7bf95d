import type { CookieSerializeOptions } from "@fastify/cookie";
import type { FastifyRequest } from "fastify";
import { InfraError } from "../../core/errors.ts";

interface Cookie {
  readonly name: string;
  readonly options: CookieSerializeOptions;
}

/** The cookie of a signed-in person, for the service at this origin. */
export function sessionCookie(origin: string): Cookie {
  return cookie("rdev-session", origin);
}

/** The cookie between the start of a sign-in and the provider's answer. */
export function signInCookie(origin: string): Cookie {
  return cookie("rdev-sign-in", origin);
}

/** Lax instead of strict: the browser comes back from the provider's site, and must send the cookie. */
function cookie(name: string, origin: string): Cookie {
  const secure = origin.startsWith("https:");
  return {
    // Browsers accept this prefix only from the host itself and over HTTPS, so that no other host of the
    // domain can set the cookie: https://developer.mozilla.org/en-US/docs/Web/HTTP/Cookies
    name: secure ? `__Host-${name}` : name,
    options: { path: "/", httpOnly: true, sameSite: "lax", secure },
  };
}

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Throws RDEV_ORIGIN if another site's page makes a person's browser write. Browsers set both headers,
 * and no page can change them; Sec-Fetch-Site is missing on plain HTTP.
 */
export function requireSameOrigin(
  { method, headers }: Pick<FastifyRequest, "method" | "headers">,
  origin: string | undefined,
): void {
  if (SAFE_METHODS.has(method)) return;
  const site = headers["sec-fetch-site"];
  const isOwn = site === undefined ? headers.origin === origin : site === "same-origin";
  if (isOwn) return;
  throw new InfraError(
    "RDEV_ORIGIN",
    `A write with a session must come from a page at ${origin}. Programs send a token instead.`,
  );
}
