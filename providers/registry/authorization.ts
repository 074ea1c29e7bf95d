import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { once } from "../../core/once.ts";
import { Http } from "../http.ts";

/** Authorizes requests for a repository. */
export interface Authorization {
  /** Whether the registry uses tokens. If so, a 401 for a token means "not allowed". */
  readonly isByToken: () => Promise<boolean>;
  /** The `authorization` header of a request. */
  readonly header: (repository: string) => Promise<string>;
}

export interface Credentials {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** The variables with the administrator's account, for error texts. */
export const ADMINISTRATOR = "REGISTRY_USERNAME and REGISTRY_PASSWORD";

/** In seconds. A token is renewed when it expires within this time. */
const MARGIN = 20;

/** In seconds. Docker's specification names this for an answer without `expires_in`. */
const LIFETIME = 60;

/** A token service's answer, with the token's lifetime in seconds. */
export const tokenAnswer = z
  .object({
    token: z.string().min(1).optional(),
    access_token: z.string().min(1).optional(),
    expires_in: z.number().positive().default(LIFETIME),
  })
  .transform((answer, context) => {
    const token = answer.token ?? answer.access_token;
    if (token !== undefined) return { token, lifetime: answer.expires_in };
    context.issues.push({ code: "custom", input: answer, message: "contains no token" });
    return z.NEVER;
  });

interface TokenService {
  readonly http: Http;
  readonly path: string;
}

interface Token {
  readonly text: string;
  /** In the time of performance.now(). */
  readonly end: number;
}

/**
 * Authorizes in the way that the registry's challenge asks for: with the account itself, or with
 * tokens that its token service issues (https://distribution.github.io/distribution/spec/auth/token/).
 */
export class NegotiatedAuthorization implements Authorization {
  readonly #credentials: Credentials;
  readonly #credential: string;
  readonly #basic: string;
  readonly #tokens = new Map<string, Token>();

  /** `credential` names the account in error texts. */
  constructor(credentials: Credentials, credential: string) {
    this.#credentials = credentials;
    this.#credential = credential;
    const { username, password } = credentials;
    this.#basic = Buffer.from(`${username}:${password}`).toString("base64");
  }

  readonly isByToken = async () => {
    const service = await this.#tokenService();
    return service !== undefined && !(service instanceof InfraError);
  };

  readonly header = async (repository: string): Promise<string> => {
    const service = await this.#tokenService();
    if (!service) return `Basic ${this.#basic}`;
    if (service instanceof InfraError) throw service;
    const known = this.#tokens.get(repository);
    if (known && known.end > performance.now()) return `Bearer ${known.text}`;
    const scope = encodeURIComponent(`repository:${repository}:pull,push,delete`);
    const path = `${service.path}&scope=${scope}`;
    const { token, lifetime } = await service.http.call("GET", path, tokenAnswer);
    const end = performance.now() + (lifetime - MARGIN) * 1000;
    this.#tokens.set(repository, { text: token, end });
    return `Bearer ${token}`;
  };

  readonly #tokenService = once(() => this.#discover());

  /**
   * Undefined means that the registry uses no tokens. An error means that it uses none and also
   * refuses the account.
   */
  async #discover(): Promise<TokenService | InfraError | undefined> {
    const { url } = this.#credentials;
    const http = this.#http("The registry", url);
    const answer = await http.raw("GET", "/v2/");
    if (answer.status === 200) return undefined;
    const failure = http.failure("GET", "/v2/", answer);
    if (answer.status !== 401) throw failure;
    const challenge = challengeOf(answer.headers["www-authenticate"], url);
    if (!challenge) return failure;
    const { realm, service } = challenge;
    const query = new URLSearchParams(realm.search);
    query.set("service", service);
    return {
      http: this.#http("The registry's token service", realm.origin),
      path: `${realm.pathname}?${query.toString()}`,
    };
  }

  #http(system: string, url: string): Http {
    return new Http({
      system,
      url,
      credential: this.#credential,
      headers: { authorization: `Basic ${this.#basic}` },
      secrets: [this.#credentials.password, this.#basic],
    });
  }
}

/**
 * The token service that the registry at `url` names in its header `www-authenticate`. Throws
 * RDEV_CONTRACT if the account would go there without TLS, unlike to the registry.
 */
export function challengeOf(header: string | string[] | undefined, url: string) {
  const text = [header ?? ""].flat().find((one) => /^bearer /i.test(one)) ?? "";
  const parameter = (name: string) => new RegExp(`[ ,]${name}="([^"]*)"`, "i").exec(text)?.[1];
  const realm = parameter("realm");
  if (realm === undefined || !/^https?:/.test(realm) || !URL.canParse(realm)) return undefined;
  const address = new URL(realm);
  if (url.startsWith("https:") && address.protocol !== "https:") {
    throw new InfraError(
      "RDEV_CONTRACT",
      `The registry at ${url} names a token service at ${address.origin}, without TLS. ` +
        "The account is not sent there. Change the registry's realm to begin with https://.",
    );
  }
  return { realm: address, service: parameter("service") ?? "" };
}
