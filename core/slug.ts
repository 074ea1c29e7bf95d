import { InfraError, problems } from "./errors.ts";

const MIN_LENGTH = 3;
const MAX_LENGTH = 40;

/** Names that mean something already to one of the systems a slug is used on, or to rdev. */
export const RESERVED_SLUGS: ReadonlySet<string> = new Set([
  "admin",
  "api",
  "citadel",
  "default", // Kubernetes' namespace, Redis' user
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
  "rdev-infra", // Redis' keys under this prefix are rdev-infra's own
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

/** Prefixes that Kubernetes and PostgreSQL keep for themselves. */
const RESERVED_PREFIXES = ["kube-", "pg-"] as const;

/**
 * What is wrong with a slug; empty when nothing is.
 * A slug is valid at once as DNS label, Kubernetes name, Redis user and Gitea repository, and, with
 * hyphens turned into underscores, as PostgreSQL role.
 */
export function slugProblems(slug: string): string[] {
  if (slug === "") return ["it is empty"];
  const found: string[] = [];
  if (slug.length < MIN_LENGTH) found.push(`it is shorter than ${MIN_LENGTH} characters`);
  if (slug.length > MAX_LENGTH) {
    found.push(`it has ${slug.length} characters, more than ${MAX_LENGTH}`);
  }
  const strange = [...new Set(slug.replace(/[a-z0-9-]/g, ""))];
  if (strange.length > 0) {
    found.push(
      `it has ${strange.map((c) => JSON.stringify(c)).join(", ")}; only a-z, 0-9 and - go`,
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

/** The slug itself when it is valid. Throws RDEV_SLUG naming everything that is wrong with it. */
export function parseSlug(slug: string): string {
  const found = slugProblems(slug);
  if (found.length > 0) throw problems("RDEV_SLUG", `"${slug}" is no project slug:`, found);
  return slug;
}

/**
 * The slug of a project's name: `My First Project!` → `my-first-project`. A long name is cut at a
 * word. Throws RDEV_SLUG when no valid slug comes of it.
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
      `The name ${JSON.stringify(name)} gives no slug ("${slug}": ${found.join("; ")}). ` +
        "Choose a name with at least 3 letters or digits of a-z and 0-9, or give the slug yourself.",
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

/** The PostgreSQL role and database of a slug. Slugs have no underscore, so no two collide. */
export function databaseName(slug: string): string {
  return slug.replaceAll("-", "_");
}
