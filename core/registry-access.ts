import { InfraError, problems } from "./errors.ts";
import type { AccountName } from "./registry-account.ts";
import { OWN_NAMESPACE, REPOSITORY_NAME } from "./registry-name.ts";

/** One resource and what may be done with it, as a token's `access` claim lists them. */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** The account that asks for a token. */
export type Holder =
  | { readonly kind: "administrator" }
  /** The one account of all pipelines, where a platform has one. */
  | { readonly kind: "shared" }
  | { readonly kind: "project"; readonly account: AccountName };

/** The project that a repository is marked with. */
export interface MarkedFor {
  readonly platform: string;
  readonly slug: string;
}

/** A client names one repository, or two where it mounts a blob. */
const MOST_SCOPES = 16;

/**
 * The scopes that a client asks for, as `repository:team/my-app:pull,push`; one text may hold
 * several. Throws RDEV_REQUEST naming every one that is malformed.
 */
export function parseScopes(texts: readonly string[]): Access[] {
  const scopes = texts.flatMap((text) => text.split(" ")).filter((text) => text !== "");
  if (scopes.length > MOST_SCOPES) {
    throw new InfraError(
      "RDEV_REQUEST",
      `The request names ${scopes.length} scopes; at most ${MOST_SCOPES} are allowed.`,
    );
  }
  const wrong: string[] = [];
  const parsed = scopes.flatMap((text) => {
    // A class may stand behind the type: repository(plugin).
    const [, type, name, actions] = /^([a-z]+)(?:\([a-z]+\))?:([^:]+):([a-z*,]*)$/.exec(text) ?? [];
    if (type !== undefined && name !== undefined && actions !== undefined) {
      return { type, name, actions: actions.split(",").filter((action) => action !== "") };
    }
    wrong.push(`${JSON.stringify(text.slice(0, 200))} is no scope, as repository:my-app:pull,push`);
    return [];
  });
  if (wrong.length > 0)
    throw problems("RDEV_REQUEST", "The request's scopes are malformed:", wrong);
  return parsed;
}

/**
 * What a holder is given of a scope; undefined where that is nothing. A project's account is good for
 * the repository that is marked with the project, under the project's name, and for no other: so it
 * is good while its project exists.
 */
export async function granted(
  holder: Holder,
  scope: Access,
  markOf: (repository: string) => Promise<MarkedFor | undefined>,
): Promise<Access | undefined> {
  const actions = await allowed(holder, scope, markOf);
  const given = scope.actions.filter((action) => actions.includes(action));
  return given.length > 0 ? { ...scope, actions: given } : undefined;
}

async function allowed(
  holder: Holder,
  { type, name }: Access,
  markOf: (repository: string) => Promise<MarkedFor | undefined>,
): Promise<readonly string[]> {
  if (holder.kind === "administrator" && type === "registry")
    return name === "catalog" ? ["*"] : [];
  if (type !== "repository" || !REPOSITORY_NAME.test(name)) return [];
  if (holder.kind === "administrator") return ["pull", "push", "delete"];
  if (name.split("/")[0] === OWN_NAMESPACE) return [];
  if (holder.kind === "shared") return ["pull", "push"];
  const { platform, slug, kind } = holder.account;
  if (name.split("/").at(-1) !== slug) return [];
  const mark = await markOf(name);
  if (mark?.platform !== platform || mark.slug !== slug) return [];
  return kind === "push" ? ["pull", "push"] : ["pull"];
}
