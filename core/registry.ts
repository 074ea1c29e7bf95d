import { createHmac, timingSafeEqual } from "node:crypto";
import { InfraError, problems } from "./errors.ts";

/**
 * The namespace in the image registry that holds the marks of ownership and the placeholder's image. No
 * project's account can write it, so a platform's setting `registry` must not name a path in it.
 */
export const OWN_NAMESPACE = "rdev-infra";

/** The repository of the image that is built from `placeholder/`. Every project may pull it. */
const PLACEHOLDER = `${OWN_NAMESPACE}/placeholder`;

/** Raise it with every change in `placeholder/`. Then the new image has to be pushed. */
const PLACEHOLDER_VERSION = "1.0.0";

/** The distribution specification's rule for the name of a repository. */
export const REPOSITORY_NAME =
  /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;

/** The host of a platform's `registry`, such as `registry.example.com:5000` or `localhost/team`. */
export function registryHost(registry: string): string {
  return registry.split("/")[0] ?? "";
}

/** The image that projects run until their first build, unless the platform sets another. */
export function defaultPlaceholder(registry: string): string {
  return `${registryHost(registry)}/${PLACEHOLDER}:${PLACEHOLDER_VERSION}`;
}

/** The path of a platform's `registry`. The projects' repositories are below it. */
export function registryPath(registry: string): string | undefined {
  const [, ...path] = registry.replace(/\/+$/, "").split("/");
  return path.length > 0 ? path.join("/") : undefined;
}

/** A project's repository in the registry: `team/my-app`. */
export function repositoryOf(prefix: string | undefined, slug: string): string {
  return prefix === undefined ? slug : `${prefix}/${slug}`;
}

/** What a project's account may do with the project's images. Pods only pull. */
export type AccountKind = "push" | "pull";

/** The fields of a registry account's username, such as `staging.my-app.push.1`. */
export interface AccountName {
  readonly platform: string;
  readonly slug: string;
  readonly kind: AccountKind;
  /** The platform's `credentialsVersion` that the account was derived with. */
  readonly version: number;
}

export interface Account {
  readonly username: string;
  readonly password: string;
}

/** Used in place of a version if the platform's setting gives projects no accounts of their own. */
export const SHARED_BY_SETTING = 0;

/** The account for the images of a registry. */
export interface PullAccount {
  /** The host in the images' names. */
  readonly host: string;
  readonly account: Account;
}

const DOCKER_HUB = "https://index.docker.io/v1/";

/** The registry of an image, in the form of Docker's config. A name without a host is Docker Hub's. */
export function registryOfImage(image: string): string {
  const [first = "", ...path] = image.split("/");
  return path.length > 0 && /[.:]|^localhost$/.test(first) ? first : DOCKER_HUB;
}

const USERNAME = /^([a-z][a-z0-9-]*)\.([a-z][a-z0-9-]*)\.(push|pull)\.([1-9]\d{0,8})$/;

/** A project's account. It is derived from the secret and the name, so nothing is stored. */
export function registryAccount(secret: string, name: AccountName): Account {
  const username = `${name.platform}.${name.slug}.${name.kind}.${name.version}`;
  return { username, password: passwordOf(secret, username) };
}

/** The name of an account; undefined if the password does not belong to the username. */
export function verifiedAccount(secret: string, account: Account): AccountName | undefined {
  const [, platform, slug, kind, version] = USERNAME.exec(account.username) ?? [];
  if (platform === undefined || slug === undefined) return undefined;
  if (!isSameSecret(account.password, passwordOf(secret, account.username))) return undefined;
  return { platform, slug, kind: kind === "push" ? "push" : "pull", version: Number(version) };
}

/** Compares in constant time, so timing reveals nothing about the secret. */
export function isSameSecret(actual: string, expected: string): boolean {
  const digest = (text: string) => createHmac("sha256", "compare").update(text).digest();
  return timingSafeEqual(digest(actual), digest(expected));
}

function passwordOf(secret: string, username: string): string {
  return createHmac("sha256", secret)
    .update(`rdev-infra registry account\n${username}`)
    .digest("base64url");
}

/** A resource and the actions on it, in the form of a token's `access` claim. */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** The account that requests a token. */
export type Holder =
  | { readonly kind: "administrator" }
  /** The single account of all pipelines, on platforms that have one. */
  | { readonly kind: "shared" }
  | { readonly kind: "project"; readonly account: AccountName };

/** The project in the mark of a repository. */
export interface MarkedFor {
  readonly platform: string;
  readonly slug: string;
}

/** A client names one repository, or two if it mounts a blob. */
const MAX_SCOPES = 16;

/**
 * Parses the scopes that a client requests, such as `repository:team/my-app:pull,push`; one text may
 * hold several. Throws RDEV_REQUEST naming every malformed one.
 */
export function parseScopes(texts: readonly string[]): Access[] {
  const scopes = texts.flatMap((text) => text.split(" ")).filter((text) => text !== "");
  if (scopes.length > MAX_SCOPES) {
    throw new InfraError(
      "RDEV_REQUEST",
      `The request names ${scopes.length} scopes; at most ${MAX_SCOPES} are allowed.`,
    );
  }
  const malformed: string[] = [];
  const parsed = scopes.flatMap((text) => {
    // The type may be followed by a class: repository(plugin).
    const [, type, name, actions] = /^([a-z]+)(?:\([a-z]+\))?:([^:]+):([a-z*,]*)$/.exec(text) ?? [];
    if (type !== undefined && name !== undefined && actions !== undefined) {
      return { type, name, actions: actions.split(",").filter((action) => action !== "") };
    }
    malformed.push(
      `${JSON.stringify(text.slice(0, 200))} is not a scope, such as repository:my-app:pull,push`,
    );
    return [];
  });
  if (malformed.length > 0) {
    throw problems("RDEV_REQUEST", "The request's scopes are malformed:", malformed);
  }
  return parsed;
}

/**
 * The part of a scope that a holder is granted; undefined if it is granted nothing. A project's
 * account is granted only the placeholder, and the repository that has the project's name and is
 * marked for the project. So it stops working when the project is gone.
 */
export async function granted(
  holder: Holder,
  scope: Access,
  markOf: (repository: string) => Promise<MarkedFor | undefined>,
): Promise<Access | undefined> {
  const allowed = await allowedActions(holder, scope, markOf);
  const actions = scope.actions.filter((action) => allowed.includes(action));
  return actions.length > 0 ? { ...scope, actions } : undefined;
}

async function allowedActions(
  holder: Holder,
  { type, name }: Access,
  markOf: (repository: string) => Promise<MarkedFor | undefined>,
): Promise<readonly string[]> {
  if (holder.kind === "administrator" && type === "registry")
    return name === "catalog" ? ["*"] : [];
  if (type !== "repository" || !REPOSITORY_NAME.test(name)) return [];
  if (holder.kind === "administrator") return ["pull", "push", "delete"];
  if (name === PLACEHOLDER) return ["pull"];
  if (name.split("/")[0] === OWN_NAMESPACE) return [];
  if (holder.kind === "shared") return ["pull", "push"];
  const { platform, slug, kind } = holder.account;
  if (name.split("/").at(-1) !== slug) return [];
  const mark = await markOf(name);
  if (mark?.platform !== platform || mark.slug !== slug) return [];
  return kind === "push" ? ["pull", "push"] : ["pull"];
}
