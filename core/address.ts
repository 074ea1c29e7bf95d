/** libpq's, from the weakest to the strongest. */
export const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;

export type SslMode = (typeof SSL_MODES)[number];

/** What a connection string asks for in libpq's words, or "". */
export function sslModeOf(url: URL): SslMode | "" {
  const asked = url.searchParams.get("sslmode") ?? "";
  // node-postgres has a mode of its own, and a short form of it.
  if (asked === "no-verify" || /^(1|true)$/.test(url.searchParams.get("ssl") ?? "")) {
    return "require";
  }
  return SSL_MODES.find((mode) => mode === asked) ?? "";
}

/** A host as a URL writes it: an IPv6 address in brackets, which it may have already. */
export function hostInUrl(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** Whether only this very machine reaches it. In a pod that is the pod itself. */
export function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[?::1\]?|)$/i.test(host);
}
