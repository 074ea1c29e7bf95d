import { randomUUID } from "node:crypto";
import { type JSONWebKeySet, SignJWT } from "jose";
import type { Connection } from "../../core/connections.ts";
import {
  type Access,
  type Account,
  granted,
  type Holder,
  isSameSecret,
  type MarkedFor,
  verifiedAccount,
} from "../../core/registry.ts";
import { Registry } from "../../providers/registry/client.ts";
import { markedFor } from "../../providers/registry/mark.ts";
import { readSigningKey, type SigningKey } from "./signing-key.ts";

/** The `iss` claim: `auth.token.issuer` in distribution's configuration. */
export const ISSUER = "rdev-infra";

/** The `aud` claim: `auth.token.service` in distribution's configuration, `service` in Zot's. */
export const SERVICE = "rdev-infra-registry";

/** In seconds. A token may outlive its project by so much. Clients renew tokens by themselves. */
const LIFETIME = 120;

/** In seconds: how far the registry's clock may be behind. */
const SKEW = 30;

interface TokenIssuerOptions {
  readonly key: SigningKey;
  /** The secret that the accounts of projects are derived from. */
  readonly secret: string;
  /** Project accounts derived with an earlier version are refused. */
  readonly oldestVersion: number;
  readonly administrator: Account;
  /** The account that all pipelines share, if the platform has one. */
  readonly shared: Account | undefined;
  /** Finds the project that a repository is marked with. */
  readonly markOf: (repository: string) => Promise<MarkedFor | undefined>;
}

export interface Token {
  readonly text: string;
  /** In seconds. */
  readonly lifetime: number;
  readonly issuedAt: Date;
}

/** Issues registry tokens with the rights of each account. Accounts are derived, not stored. */
export class TokenIssuer {
  readonly #options: TokenIssuerOptions;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  /** The public key as a JWK set, for the registry. */
  get keys(): JSONWebKeySet {
    return { keys: [this.#options.key.jwk] };
  }

  /** Verifies a project's account. Its password is random, so failures need no rate limit. */
  project(presented: Account): Holder | undefined {
    const { secret, oldestVersion } = this.#options;
    const account = verifiedAccount(secret, presented);
    return account && account.version >= oldestVersion ? { kind: "project", account } : undefined;
  }

  /** Verifies an account with a password that a person chose. */
  operator(presented: Account): Holder | undefined {
    const { administrator, shared } = this.#options;
    if (isSame(presented, administrator)) return { kind: "administrator" };
    return shared && isSame(presented, shared) ? { kind: "shared" } : undefined;
  }

  /** Issues a token for the allowed part of the scopes. The token is valid even if that is empty. */
  async issue(subject: string, holder: Holder, scopes: readonly Access[]): Promise<Token> {
    const { key, markOf } = this.#options;
    const grants = await Promise.all(scopes.map((scope) => granted(holder, scope, markOf)));
    const access = grants.filter((grant) => grant !== undefined);
    const issuedAt = new Date();
    const now = Math.floor(issuedAt.getTime() / 1000);
    const text = await new SignJWT({ access })
      .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: key.id })
      .setIssuer(ISSUER)
      .setSubject(subject)
      .setAudience(SERVICE)
      .setIssuedAt(now - SKEW)
      .setNotBefore(now - SKEW)
      .setExpirationTime(now + LIFETIME)
      .setJti(randomUUID())
      .sign(key.privateKey);
    return { text, lifetime: LIFETIME, issuedAt };
  }
}

/** The issuer of a platform's registry. It reads the marks there with tokens that it issues itself. */
export async function openIssuer(connection: Connection<"registryTokens">): Promise<TokenIssuer> {
  const { url, admin, shared, secret, oldestVersion } = connection;
  const ownToken = async (name: string): Promise<string> => {
    const scope = { type: "repository", name, actions: ["pull"] };
    return (await issuer.issue(admin.username, { kind: "administrator" }, [scope])).text;
  };
  const registry = new Registry({
    url,
    credential: "the issuer's own token",
    secrets: [],
    authorization: {
      isByToken: () => Promise.resolve(true),
      header: async (name) => `Bearer ${await ownToken(name)}`,
    },
  });
  const issuer: TokenIssuer = new TokenIssuer({
    key: await readSigningKey(connection),
    secret,
    oldestVersion,
    shared,
    administrator: admin,
    markOf: (repository) => markedFor(registry, repository),
  });
  return issuer;
}

function isSame(a: Account, b: Account): boolean {
  const username = isSameSecret(a.username, b.username);
  const password = isSameSecret(a.password, b.password);
  return username && password;
}
