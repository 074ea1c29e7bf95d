import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { type Account, type Holder, parseScopes } from "../../core/registry.ts";
import { addressOf, type Limiter, limiter } from "../service/limiter.ts";
import { problemResponse } from "../service/schemas/problem.ts";
import { SERVICE, type TokenIssuer } from "./token-issuer.ts";

export interface TokenLimits {
  /** Tokens that one account may ask for, a minute. */
  readonly tokens: number;
  /** Wrong passwords from one address, a minute. */
  readonly strangers: number;
}

const tags = ["registry"];

const query = z.object({
  service: z.literal(SERVICE).optional().meta({ description: "The registry, by its name." }),
  scope: z
    .union([z.string(), z.array(z.string())])
    .default([])
    .meta({
      description: "What is asked for; may stand several times.",
      examples: ["repository:my-app:pull,push"],
    }),
  // Clients tell more of themselves, which changes nothing: account, client_id, offline_token.
});

const token = z
  .object({
    token: z.string(),
    access_token: z.string().meta({ description: "The same, for clients of OAuth 2.0." }),
    expires_in: z.int().meta({ description: "Seconds." }),
    issued_at: z.iso.datetime(),
  })
  .meta({ id: "RegistryToken" });

const keys = z
  .object({ keys: z.array(z.record(z.string(), z.unknown())) })
  .meta({ id: "RegistryKeys" });

/**
 * The token endpoint of Docker's scheme, for an image registry, and the public key that it is to
 * trust: https://distribution.github.io/distribution/spec/auth/token/. Without an issuer: 404.
 */
export function tokenRoutes(
  issuer: TokenIssuer | undefined,
  limits: TokenLimits,
): FastifyPluginAsyncZod {
  return async (app) => {
    const door = new Door(app, limits);

    app.get(
      "/v1/registry/token",
      {
        config: { access: "open" },
        schema: {
          ...{ tags, operationId: "getRegistryToken", security: [{ registryAccount: [] }] },
          summary: "A token for the image registry, for what the account may do of what is asked",
          querystring: query,
          response: {
            200: token,
            400: problemResponse("The service or a scope is malformed."),
            401: problemResponse("The registry account is missing, unknown or no longer good."),
            404: problemResponse("This service issues no tokens."),
            429: problemResponse("Too many requests; Retry-After says how long to wait."),
            "5XX": problemResponse("The registry, or the service, is not ready; try again."),
          },
        },
      },
      async (request, reply) => {
        const there = demand(issuer);
        const { account, holder } = await door.admit(there, request, reply);
        const scopes = parseScopes([request.query.scope].flat());
        const issued = await there.issue(account.username, holder, scopes);
        reply.header("cache-control", "no-store");
        return {
          token: issued.text,
          access_token: issued.text,
          expires_in: issued.lifetime,
          issued_at: issued.issuedAt.toISOString(),
        };
      },
    );

    app.get(
      "/v1/registry/jwks",
      {
        config: { access: "open" },
        schema: {
          ...{ tags, operationId: "getRegistryKeys", security: [] },
          summary: "The public key that the registry's tokens are signed with, as a JWK set",
          response: { 200: keys, "4XX": problemResponse("This service issues no tokens.") },
        },
      },
      async () => demand(issuer).keys,
    );
  };
}

function demand(issuer: TokenIssuer | undefined): TokenIssuer {
  if (issuer) return issuer;
  throw new InfraError(
    "RDEV_NOT_FOUND",
    "This service issues no tokens for an image registry: it runs without REGISTRY_TOKEN_KEY.",
  );
}

/** Lets in accounts whose password is right, and not more often than the limits say. */
class Door {
  readonly #accounts: Limiter;
  readonly #strangers: Limiter;

  constructor(app: FastifyInstance, { tokens, strangers }: TokenLimits) {
    this.#accounts = limiter(app, tokens, (request) => accountOf(request)?.username ?? "");
    this.#strangers = limiter(app, strangers, addressOf);
  }

  async admit(
    issuer: TokenIssuer,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<{ readonly account: Account; readonly holder: Holder }> {
    const account = accountOf(request);
    const holder =
      account &&
      (issuer.project(account) ?? (await this.#operator(issuer, account, request, reply)));
    if (!account || !holder) {
      await this.#strangers.count(request);
      reply.header("www-authenticate", 'Basic realm="rdev-infra"');
      throw new InfraError(
        "RDEV_ACCOUNT",
        account
          ? "The registry account is unknown, its password is wrong, or it was replaced by a newer one."
          : "Send an account of the registry: authorization: Basic ….",
      );
    }
    const { isExceeded, retryAfter } = await this.#accounts.count(request);
    if (isExceeded) throw tooMany(reply, retryAfter, `by the account ${account.username}`);
    return { account, holder };
  }

  /** After too many wrong passwords, even the right one is not looked at. */
  async #operator(
    issuer: TokenIssuer,
    account: Account,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<Holder | undefined> {
    const { isExceeded, retryAfter } = await this.#strangers.look(request);
    if (isExceeded) throw tooMany(reply, retryAfter, "from this address with a wrong password");
    return issuer.operator(account);
  }
}

function accountOf({ headers }: FastifyRequest): Account | undefined {
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(headers.authorization ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function tooMany(reply: FastifyReply, retryAfter: number, how: string): InfraError {
  reply.header("retry-after", retryAfter);
  return new InfraError(
    "RDEV_RATE_LIMITED",
    `Too many requests ${how}. Wait ${retryAfter} s, as Retry-After says.`,
  );
}
