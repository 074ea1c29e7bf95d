import { InfraError, problems } from "./errors.ts";

const MIN_LENGTH = 3;
const MAX_LENGTH = 40;

/** Names that already have a meaning in rdev or in one of the systems that use the slug. */
export const RESERVED_SLUGS: ReadonlySet<string> = new Set([
  "admin",
  "api",
  "citadel",
  "default", // a namespace of Kubernetes, a user of Redis
  "git",
  "gitea",
  "grafana",
  "localhost",
  "login",
  "mail",
  "observability",
  "platform",
  "postgres",
  "projects",
  "public",
  "rdev",
  "rdev-infra", // the prefix of rdev-infra's own keys in Redis
  "rdev-platform",
  "redis",
  "registry",
  "root",
  "staging",
  "template0",
  "template1",
  "traefik",
  "woodpecker",
  "www",
]);

/** Prefixes that Kubernetes and PostgreSQL reserve. */
const RESERVED_PREFIXES = ["kube-", "pg-"] as const;

/**
 * The problems of a slug; empty if it is valid. A valid slug is also a valid DNS label, Kubernetes
 * name, Redis user and Gitea repository, and, with underscores for hyphens, a PostgreSQL role.
 */
export function slugProblems(slug: string): string[] {
  if (slug === "") return ["it is empty"];
  const found: string[] = [];
  if (slug.length < MIN_LENGTH) found.push(`it is shorter than ${MIN_LENGTH} characters`);
  if (slug.length > MAX_LENGTH) {
    found.push(`it has ${slug.length} characters, more than ${MAX_LENGTH}`);
  }
  const invalid = [...new Set(slug.replace(/[a-z0-9-]/g, ""))];
  if (invalid.length > 0) {
    found.push(
      `it has ${invalid.map((c) => JSON.stringify(c)).join(", ")}; only a-z, 0-9 and - are allowed`,
    );
  }
  if (!/^[a-z]/.test(slug)) found.push("it does not begin with a letter a-z");
  if (!/[a-z0-9]$/.test(slug)) found.push("it does not end with a letter or a digit");
  if (slug.includes("--")) found.push("it has two hyphens in a row");
  if (RESERVED_SLUGS.has(slug)) found.push("it is reserved");
  const prefix = RESERVED_PREFIXES.find((reserved) => slug.startsWith(reserved));
  if (prefix) found.push(`names that begin with ${prefix} are reserved`);
  return found;
}

/** Returns the slug if it is valid. Throws RDEV_SLUG naming every problem. */
export function parseSlug(slug: string): string {
  const found = slugProblems(slug);
  if (found.length > 0) throw problems("RDEV_SLUG", `"${slug}" is not a valid slug:`, found);
  return slug;
}

/**
 * Makes a slug from a project's name: `My First Project!` → `my-first-project`. A long name is cut
 * after a word. Throws RDEV_SLUG if the result is not a valid slug.
 */
export function slugFromName(name: string): string {
  const words = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[-0-9]+|-+$/g, "");
  const slug = cutAtWord(words);
  const found = slugProblems(slug);
  if (found.length > 0) {
    throw new InfraError(
      "RDEV_SLUG",
      `The name ${JSON.stringify(name)} gives no valid slug ("${slug}": ${found.join("; ")}). ` +
        "Choose a name with at least 3 of the characters a-z and 0-9, or specify the slug.",
    );
  }
  return slug;
}

function cutAtWord(words: string): string {
  if (words.length <= MAX_LENGTH) return words;
  const cut = words.slice(0, MAX_LENGTH + 1);
  const end = cut.lastIndexOf("-");
  return end >= MIN_LENGTH ? cut.slice(0, end) : words.slice(0, MAX_LENGTH);
}

/** The PostgreSQL role and database of a slug. Slugs have no underscore, so the names are unique. */
export function databaseName(slug: string): string {
  return slug.replaceAll("-", "_");
}
