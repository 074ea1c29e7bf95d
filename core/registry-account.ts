import { createHmac, timingSafeEqual } from "node:crypto";

/** What an account of a project may do with the project's images: pods only pull. */
export type AccountKind = "push" | "pull";

/** Whom an account of the image registry is for. Its username says it, `staging.my-app.push.1`. */
export interface AccountName {
  readonly platform: string;
  readonly slug: string;
  readonly kind: AccountKind;
  /** The platform's `credentialsVersion` that it was derived with. */
  readonly version: number;
}

export interface Account {
  readonly username: string;
  readonly password: string;
}

/** In place of a version: by the platform's setting, projects have no accounts of their own. */
export const SHARED_BY_SETTING = 0;

const USERNAME = /^([a-z][a-z0-9-]*)\.([a-z][a-z0-9-]*)\.(push|pull)\.([1-9]\d{0,8})$/;

/** A project's account. The secret and the name are all there is to it: nothing is stored. */
export function registryAccount(secret: string, name: AccountName): Account {
  const username = `${name.platform}.${name.slug}.${name.kind}.${name.version}`;
  return { username, password: passwordOf(secret, username) };
}

/** The account of a username and its password; undefined where they do not belong together. */
export function verifiedAccount(secret: string, given: Account): AccountName | undefined {
  const [, platform, slug, kind, version] = USERNAME.exec(given.username) ?? [];
  if (platform === undefined || slug === undefined) return undefined;
  if (!isSameSecret(given.password, passwordOf(secret, given.username))) return undefined;
  return { platform, slug, kind: kind === "push" ? "push" : "pull", version: Number(version) };
}

/** Compares in constant time, so timing reveals nothing about the secret. */
export function isSameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHmac("sha256", "compare").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

function passwordOf(secret: string, username: string): string {
  return createHmac("sha256", secret)
    .update(`rdev-infra registry account\n${username}`)
    .digest("base64url");
}
