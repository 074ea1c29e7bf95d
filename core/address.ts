/** The values of libpq's sslmode, from the weakest to the strongest. */
export const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;

export type SslMode = (typeof SSL_MODES)[number];

/** The sslmode of a connection string, or "". */
export function sslModeOf(url: URL): SslMode | "" {
  const mode = url.searchParams.get("sslmode") ?? "";
  // node-postgres has a mode of its own, no-verify, and the short form ssl=true.
  if (mode === "no-verify" || /^(1|true)$/.test(url.searchParams.get("ssl") ?? "")) {
    return "require";
  }
  return SSL_MODES.find((known) => known === mode) ?? "";
}

/** The host as it is written in a URL: brackets around an IPv6 address, unless it has them already. */
export function hostInUrl(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** The label of a host directly below a domain: `app` for `app.example.com`. Undefined for any other. */
export function labelIn(host: string, domain: string): string | undefined {
  const label = host.endsWith(`.${domain}`) ? host.slice(0, -domain.length - 1) : "";
  return label === "" || label.includes(".") ? undefined : label;
}

/** Whether the host is a loopback address. In a pod it would be the pod itself. */
export function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[?::1\]?|)$/i.test(host);
}
