import { decodeJwt } from "jose";
import * as openid from "openid-client";
import { z } from "zod";
import { isLoopback } from "../../core/address.ts";
import type { Connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { once } from "../../core/once.ts";
import type { Kubernetes } from "../../providers/kubernetes/client.ts";
import { KeyCache, type Keys } from "../keys/keys.ts";
import { identityOfPerson, identityOfServiceAccount, personOf } from "./callers.ts";
import { type Identity, identityOfKey } from "./identity.ts";
import { invalidToken, Issuer, type IssuerDocuments } from "./issuer.ts";
import type { IdentitySettings, PeopleSettings } from "../../core/identity.ts";
import { SignIn } from "./sign-in.ts";

/** A bearer token of any kind, or the cookie of a session. */
export interface Credential {
  readonly kind: "bearer" | "session";
  readonly text: string;
}

export interface AuthenticatorOptions {
  readonly keys: Pick<Keys, "authenticate">;
  /** Default: only API keys are accepted. */
  readonly settings?: IdentitySettings | undefined;
  readonly secrets?: Omit<Connection<"identity">, "file"> | undefined;
  /** The issuer of service accounts' tokens. Default: none is accepted. */
  readonly cluster?: IssuerDocuments | undefined;
}

/** Three parts in base64url: a signed token. No API key has a dot. */
const SIGNED_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** The one place that decides who a caller is. */
export class Authenticator {
  /** Undefined if people cannot sign in. */
  readonly signIn: SignIn | undefined;
  readonly #keys: KeyCache;
  readonly #settings: IdentitySettings;
  readonly #people: Issuer | undefined;
  readonly #cluster: Issuer | undefined;

  constructor({ keys, settings = {}, secrets, cluster }: AuthenticatorOptions) {
    const { people, serviceAccounts } = settings;
    this.#keys = new KeyCache(keys);
    this.#settings = settings;
    if (people) {
      const provider = once(() => readProvider(people, secrets?.clientSecret));
      const { issuer, clientId, audiences = [clientId], signIn } = people;
      this.#people = new Issuer(`the issuer ${issuer}`, audiences, documentsOf(provider));
      const sessionKey = secrets?.sessionKey;
      if (signIn && sessionKey !== undefined) {
        this.signIn = new SignIn({ people, signIn, issuer: this.#people, provider, sessionKey });
      }
    }
    if (serviceAccounts && cluster) {
      this.#cluster = new Issuer("the API server", [serviceAccounts.audience], cluster);
    }
  }

  /** Whether a wrong credential costs a look-up in the database. Tokens and sessions cost none. */
  mustLimitFirst(credential: Credential | undefined): boolean {
    if (!credential) return true;
    return !this.#isVerifiedHere(credential) && !this.#keys.has(credential.text);
  }

  /**
   * The caller with this credential. Rejects with RDEV_KEY or RDEV_TOKEN if it is not valid, and with
   * RDEV_ISSUER if that cannot be decided.
   */
  async authenticate(credential: Credential | undefined): Promise<Identity> {
    if (!credential) throw this.#noCredential();
    if (credential.kind === "session") return this.#ofSession(credential.text);
    if (this.#isVerifiedHere(credential)) return this.#ofToken(credential.text);
    const key = await this.#keys.authenticate(credential.text);
    if (key) return identityOfKey(key);
    throw new InfraError(
      "RDEV_KEY",
      "The key is unknown, expired or revoked. rdev-infra keys list shows the valid ones.",
    );
  }

  #isVerifiedHere({ kind, text }: Credential): boolean {
    if (kind === "session") return true;
    return (this.#people ?? this.#cluster) !== undefined && SIGNED_TOKEN.test(text);
  }

  async #ofToken(token: string): Promise<Identity> {
    const { people, serviceAccounts } = this.#settings;
    const claimed = issuerIn(token);
    // The configured name decides, so that an API server that is down does not lock people out.
    if (people && this.#people && claimed === people.issuer) {
      return identityOfPerson(personOf(await this.#people.verify(token), people), people);
    }
    // A token without an issuer is nobody's, so it must not wait for an API server that is down.
    const isOfCluster = claimed !== undefined && claimed === (await this.#cluster?.name());
    if (serviceAccounts && this.#cluster && isOfCluster) {
      return identityOfServiceAccount(await this.#cluster.verify(token), serviceAccounts);
    }
    throw invalidToken("is from an issuer that the service does not trust");
  }

  async #ofSession(text: string): Promise<Identity> {
    const { people } = this.#settings;
    const person = await this.signIn?.session(text);
    if (people && person) return identityOfPerson(person, people);
    throw new InfraError("RDEV_TOKEN", "The session has ended. Sign in again at /auth/sign-in.");
  }

  #noCredential(): InfraError {
    const people = this.signIn ? " People sign in at /auth/sign-in." : "";
    return new InfraError(
      "RDEV_KEY",
      'The request has no key. Send "authorization: Bearer rdk_…"; rdev-infra keys create makes one.' +
        people,
    );
  }
}

/** Which issuer the token claims to be from, before its signature is checked. */
function issuerIn(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    throw invalidToken("is malformed");
  }
}

/** In seconds, for one request to the provider. */
const PROVIDER_TIMEOUT_S = 5;

function readProvider(
  { issuer, clientId }: PeopleSettings,
  clientSecret: string | undefined,
): Promise<openid.Configuration> {
  const url = new URL(issuer);
  const clientAuth = clientSecret === undefined ? openid.None() : undefined;
  return openid.discovery(url, clientId, clientSecret, clientAuth, {
    timeout: PROVIDER_TIMEOUT_S,
    execute: isLoopback(url.hostname) ? [openid.allowInsecureRequests] : [],
  });
}

function documentsOf(provider: () => Promise<openid.Configuration>): IssuerDocuments {
  return {
    issuer: async () => (await provider()).serverMetadata().issuer,
    async keys(signal) {
      const { jwks_uri: address } = (await provider()).serverMetadata();
      if (address === undefined) throw new Error("its discovery document has no jwks_uri");
      const answer = await fetch(address, { signal, redirect: "error" });
      if (!answer.ok) throw new Error(`${address} answered with ${answer.status}`);
      return answer.json();
    },
  };
}

/**
 * The API server's public documents. Reading them takes the least rights, which Kubernetes gives every
 * ServiceAccount (the ClusterRole `system:service-account-issuer-discovery`). A TokenReview would need
 * the right to examine every token of the cluster.
 */
export function clusterDocuments(cluster: Kubernetes): IssuerDocuments {
  const description = z.object({ issuer: z.string().min(1) });
  return {
    async issuer(signal) {
      const path = "/.well-known/openid-configuration";
      return description.parse(await cluster.calls.issuerDocument(path, signal)).issuer;
    },
    keys: (signal) => cluster.calls.issuerDocument("/openid/v1/jwks", signal),
  };
}
