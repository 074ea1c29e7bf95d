const MASK = "********";
/** Shorter secrets are not masked (pipeline/shared/replace_secrets.go). */
const SHORTEST = 4;

/** Returns a function that masks each line of each secret in a line of a log. */
export function maskOf(secrets: readonly string[]): (line: string) => string {
  const parts = secrets
    .map((secret) => secret.trim())
    .filter((secret) => secret.length >= SHORTEST)
    .flatMap((secret) => secret.split("\n"))
    .filter((part) => part !== "")
    // A secret may be the beginning of another one.
    .sort((a, b) => b.length - a.length);
  return (line) => parts.reduce((masked, part) => masked.replaceAll(part, MASK), line);
}
