import { randomUUID } from "node:crypto";
import { type JSONWebKeySet, SignJWT } from "jose";
import {
  type Access,
  type Account,
  granted,
  type Holder,
  isSameSecret,
  type MarkedFor,
  verifiedAccount,
} from "../../core/registry.ts";
import type { SigningKey } from "./signing-key.ts";

/** The name of the tokens' signer; distribution's `auth.token.issuer`. */
export const ISSUER = "rdev-infra";

/** What the tokens are good for; `auth.token.service` of distribution, `service` of Zot. */
export const SERVICE = "rdev-infra-registry";

/** In seconds. So long is a token good after its project has gone. Clients ask again by themselves. */
const LIFETIME = 120;

/** In seconds: how far behind the registry's clock may be. */
const SKEW = 30;

export interface TokenIssuerOptions {
  readonly key: SigningKey;
  /** What projects' accounts are derived from. */
  readonly secret: string;
  /** Accounts of projects that were derived with an earlier version are refused. */
  readonly oldestVersion: number;
  readonly administrator: Account;
  /** The one account of all pipelines, where a platform has one. */
  readonly shared: Account | undefined;
  /** The project that a repository is marked with. */
  readonly markOf: (repository: string) => Promise<MarkedFor | undefined>;
}

export interface Token {
  readonly text: string;
  /** In seconds. */
  readonly lifetime: number;
  readonly issuedAt: Date;
}

/** Gives the registry's accounts tokens for what each may do. Keeps no list of accounts. */
export class TokenIssuer {
  readonly #options: TokenIssuerOptions;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  /** The public key, for the registry. */
  get keys(): JSONWebKeySet {
    return { keys: [this.#options.key.jwk] };
  }

  /** A project's account. Its password cannot be guessed, so guesses need not be counted. */
  project(given: Account): Holder | undefined {
    const { secret, oldestVersion } = this.#options;
    const account = verifiedAccount(secret, given);
    return account && account.version >= oldestVersion ? { kind: "project", account } : undefined;
  }

  /** An account whose password people chose. */
  operator(given: Account): Holder | undefined {
    const { administrator, shared } = this.#options;
    if (isSame(given, administrator)) return { kind: "administrator" };
    return shared && isSame(given, shared) ? { kind: "shared" } : undefined;
  }

  /** A token for what of the scopes the holder may do: where that is nothing, one for nothing. */
  async issue(subject: string, holder: Holder, scopes: readonly Access[]): Promise<Token> {
    const { key, markOf } = this.#options;
    const given = await Promise.all(scopes.map((scope) => granted(holder, scope, markOf)));
    const access = given.filter((each) => each !== undefined);
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

function isSame(given: Account, wanted: Account): boolean {
  const username = isSameSecret(given.username, wanted.username);
  const password = isSameSecret(given.password, wanted.password);
  return username && password;
}
