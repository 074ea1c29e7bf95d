import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from "jose";
import { InfraError } from "../../core/errors.ts";
import { once } from "../../core/once.ts";

/** Asymmetric only: with HS256, anybody could sign with the issuer's public key. */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** In seconds: how far the clocks of the issuer and of this machine may differ. */
const CLOCK_TOLERANCE_S = 10;

/** In ms. Keys are fetched again when they are older, so a key that the issuer withdrew is refused. */
const KEYS_MAX_AGE_MS = 10 * 60_000;

/** In ms. Tokens with unknown key ids make the service fetch the keys at most so often. */
const KEYS_COOLDOWN_MS = 30_000;

/** In ms, for one request to the issuer. */
const ISSUER_TIMEOUT_MS = 5_000;

/** In ms. An issuer that failed is not asked again within this time. */
const FAILURE_PAUSE_MS = 5_000;

/** The documents that an issuer publishes. */
export interface IssuerDocuments {
  /** The issuer's name, as in the claim `iss`. */
  issuer(signal: AbortSignal): Promise<string>;
  /** The public keys, as a JWK set. */
  keys(signal: AbortSignal): Promise<unknown>;
}

/** Verifies the tokens of one issuer. */
export class Issuer {
  readonly #title: string;
  readonly #audiences: readonly string[];
  readonly #documents: IssuerDocuments;
  readonly #keys: JWTVerifyGetKey;
  #failure: { readonly error: InfraError; readonly until: number } | undefined;

  /** The title is for messages: `the issuer https://git.example.com`. */
  constructor(title: string, audiences: readonly string[], documents: IssuerDocuments) {
    this.#title = title;
    this.#audiences = audiences;
    this.#documents = documents;
    // The library caches the keys and limits the requests; the documents decide where they are.
    this.#keys = createRemoteJWKSet(new URL("jwks:"), {
      cacheMaxAge: KEYS_MAX_AGE_MS,
      cooldownDuration: KEYS_COOLDOWN_MS,
      timeoutDuration: ISSUER_TIMEOUT_MS,
      [customFetch]: async (_url, { signal }) =>
        this.#ask(async () => Response.json(await this.#documents.keys(signal))),
    });
  }

  /** The claim `iss` of its tokens. Rejects with RDEV_ISSUER. */
  readonly name = once(() =>
    this.#ask(() => this.#documents.issuer(AbortSignal.timeout(ISSUER_TIMEOUT_MS))),
  );

  /**
   * The claims of a token. Rejects with RDEV_TOKEN if the token is not valid here, and with RDEV_ISSUER
   * if that cannot be decided without the issuer. The messages contain nothing of the token.
   */
  async verify(token: string): Promise<JWTPayload & { readonly sub: string }> {
    const issuer = await this.name();
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience: [...this.#audiences],
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ["exp", "iat"],
      });
      const { sub } = payload;
      // Printable ASCII without spaces, so that two subjects never look the same in the audit trail.
      if (sub === undefined || !/^[\x21-\x7e]{1,255}$/.test(sub)) {
        throw invalidToken('lacks a usable claim "sub"');
      }
      return { ...payload, sub };
    } catch (error) {
      if (error instanceof InfraError) throw error;
      throw this.#refusal(error);
    }
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure && Date.now() < this.#failure.until) throw this.#failure.error;
    try {
      const answer = await work();
      this.#failure = undefined;
      return answer;
    } catch (cause) {
      const error = this.#unavailable(cause);
      this.#failure = { error, until: Date.now() + FAILURE_PAUSE_MS };
      throw error;
    }
  }

  #refusal(error: unknown): InfraError {
    if (error instanceof errors.JWTExpired) return invalidToken("has expired");
    if (error instanceof errors.JWTClaimValidationFailed) return this.#wrongClaim(error);
    if (error instanceof errors.JWSSignatureVerificationFailed) {
      return invalidToken(`has a signature that is not by ${this.#title}`);
    }
    if (error instanceof errors.JWKSNoMatchingKey) {
      return invalidToken(`is signed with a key that ${this.#title} does not publish`);
    }
    if (error instanceof errors.JOSEAlgNotAllowed) {
      return invalidToken("is signed with an algorithm that is not allowed");
    }
    // An unusable set of keys is the issuer's fault; every other error of the library is the token's.
    const isOfKeys =
      error instanceof errors.JWKSInvalid ||
      error instanceof errors.JWKSTimeout ||
      !(error instanceof errors.JOSEError);
    return isOfKeys ? this.#unavailable(error) : invalidToken("is malformed");
  }

  #wrongClaim({ claim, reason }: errors.JWTClaimValidationFailed): InfraError {
    if (reason === "missing") return invalidToken(`lacks the claim "${claim}"`);
    if (claim === "aud") {
      return invalidToken(
        `is for another audience; the service accepts ${this.#audiences.join(", ")}`,
      );
    }
    if (claim === "nbf" && reason === "check_failed") return invalidToken("is not valid yet");
    return invalidToken(`has an unexpected claim "${claim}"`);
  }

  #unavailable(cause: unknown): InfraError {
    const { message, cause: reasonOf } = cause instanceof Error ? cause : new Error(String(cause));
    // fetch() says why only in its cause.
    const reason = (reasonOf as NodeJS.ErrnoException | undefined)?.code ?? message;
    return new InfraError(
      "RDEV_ISSUER",
      `The keys of ${this.#title} could not be read, so its tokens cannot be verified: ${reason}`,
      { cause },
    );
  }
}

/** RDEV_TOKEN: "The token has expired." */
export function invalidToken(what: string): InfraError {
  return new InfraError("RDEV_TOKEN", `The token ${what}.`);
}
