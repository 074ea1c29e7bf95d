import * as openid from "openid-client";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { identityOfPerson, type Person, person, personOf } from "./callers.ts";
import type { Identity } from "./identity.ts";
import type { Issuer } from "./issuer.ts";
import { Seal } from "./seal.ts";
import type { PeopleSettings, SignInSettings } from "../../core/identity.ts";

/** In seconds: how long a person may take at the provider. */
const SIGN_IN_LIFETIME_S = 600;

/** What the browser keeps, encrypted, between the two halves of a sign-in. */
const pending = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  /** A path of the service. */
  returnTo: z.string(),
});

interface SignInOptions {
  readonly people: PeopleSettings;
  readonly signIn: SignInSettings;
  readonly issuer: Issuer;
  /** Reads the provider's own description, once. */
  readonly provider: () => Promise<openid.Configuration>;
  readonly sessionKey: string;
}

/** A cookie's content, and for how many seconds it is valid. */
export interface SealedCookie {
  readonly text: string;
  readonly lifetime: number;
}

interface SignedIn {
  readonly caller: Identity;
  readonly session: SealedCookie;
  /** The path to show next. */
  readonly returnTo: string;
}

/** Signs people in with OpenID Connect's authorization code flow with PKCE, and keeps their sessions. */
export class SignIn {
  /** The service's own origin. */
  readonly origin: string;
  /** The provider's address. */
  readonly issuer: string;
  readonly #options: SignInOptions;
  readonly #seal: Seal;

  constructor(options: SignInOptions) {
    this.#options = options;
    this.#seal = new Seal(options.sessionKey);
    this.origin = new URL(options.signIn.publicUrl).origin;
    this.issuer = options.people.issuer;
  }

  /** The provider's page, and a cookie for the browser that asks. Rejects with RDEV_ISSUER. */
  async start(returnTo: string): Promise<{ readonly page: URL; readonly cookie: SealedCookie }> {
    const provider = await this.#provider();
    const verifier = openid.randomPKCECodeVerifier();
    const [state, nonce] = [openid.randomState(), openid.randomNonce()];
    const page = openid.buildAuthorizationUrl(provider, {
      redirect_uri: `${this.origin}/auth/callback`,
      scope: this.#options.signIn.scopes.join(" "),
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
    });
    const content = { state, nonce, verifier, returnTo: this.#ownPath(returnTo) };
    const text = await this.#seal.close("sign-in", content, SIGN_IN_LIFETIME_S);
    return { page, cookie: { text, lifetime: SIGN_IN_LIFETIME_S } };
  }

  /**
   * Finishes a sign-in with the query that the provider sent the browser back with. Rejects with
   * RDEV_SIGN_IN, RDEV_TOKEN or RDEV_ISSUER.
   */
  async finish(query: string, cookie: string | undefined): Promise<SignedIn> {
    const started = cookie && (await this.#seal.open("sign-in", cookie, pending));
    if (!started) throw failed("was not started in this browser, or took longer than 10 minutes");
    const { people, issuer, signIn } = this.#options;
    const token = await this.#idToken(query, started);
    const found = personOf(await issuer.verify(token), people);
    const lifetime = signIn.sessionHours * 3_600;
    const text = await this.#seal.close("session", found, lifetime);
    return {
      caller: identityOfPerson(found, people),
      session: { text, lifetime },
      returnTo: started.returnTo,
    };
  }

  /** The person of a session's cookie; undefined if it has expired or is not from here. */
  session(text: string): Promise<Person | undefined> {
    return this.#seal.open("session", text, person);
  }

  async #idToken(query: string, started: z.output<typeof pending>): Promise<string> {
    const provider = await this.#provider();
    try {
      const url = new URL(`/auth/callback${query}`, this.origin);
      const tokens = await openid.authorizationCodeGrant(provider, url, {
        pkceCodeVerifier: started.verifier,
        expectedState: started.state,
        expectedNonce: started.nonce,
        idTokenExpected: true,
      });
      return tokens.id_token ?? "";
    } catch (error) {
      throw refusal(error);
    }
  }

  async #provider(): Promise<openid.Configuration> {
    await this.#options.issuer.name(); // reports an issuer that is down, and spares it repeated requests
    return this.#options.provider();
  }

  /** Only paths of the service, so that a link to the sign-in cannot lead elsewhere. */
  #ownPath(path: string): string {
    const url = URL.canParse(path, this.origin) ? new URL(path, this.origin) : undefined;
    if (url?.origin === this.origin && path.startsWith("/")) return url.pathname + url.search;
    throw new InfraError(
      "RDEV_REQUEST",
      "return must be a path of the service, such as /v1/projects.",
    );
  }
}

/** The causes stay out of the messages: they may hold the code or a token. */
function refusal(error: unknown): InfraError {
  if (error instanceof openid.AuthorizationResponseError) {
    return failed(`was refused by the provider${codeOf(error.error)}`);
  }
  if (error instanceof openid.ResponseBodyError) {
    if (error.error !== "invalid_client") {
      return failed(`was refused by the provider${codeOf(error.error)}`);
    }
    const text = "The provider refuses the service's client id or RDEV_INFRA_CLIENT_SECRET.";
    return new InfraError("RDEV_ISSUER", text);
  }
  const code = error instanceof openid.ClientError ? error.code : undefined;
  if (code !== undefined && WRONG_ANSWERS.has(code)) {
    return failed("got an answer that does not belong to it");
  }
  const text = `The provider did not answer as OpenID Connect demands (${code ?? "no connection"}).`;
  return new InfraError("RDEV_ISSUER", text);
}

/** The library's codes for a state, a nonce or another claim that differs from the expected one. */
const WRONG_ANSWERS: ReadonlySet<string> = new Set([
  "OAUTH_INVALID_RESPONSE",
  "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
  "OAUTH_JWT_TIMESTAMP_CHECK_FAILED",
]);

/** OAuth 2.0's error codes are words; any other text in the query is not repeated. */
function codeOf(text: string): string {
  return /^[a-z_]{1,40}$/.test(text) ? ` (${text})` : "";
}

function failed(how: string): InfraError {
  return new InfraError("RDEV_SIGN_IN", `The sign-in ${how}. Start again at /auth/sign-in.`);
}
