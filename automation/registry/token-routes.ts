import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { type Account, type Holder, parseScopes } from "../../core/registry.ts";
import { refuseExcess } from "../service/access.ts";
import { addressOf, type Limiter, limiter } from "../service/limiter.ts";
import type { ServiceLimits } from "../service/options.ts";
import { problemResponse } from "../service/schemas/problem.ts";
import { SERVICE, type TokenIssuer } from "./token-issuer.ts";

export type TokenLimits = Pick<ServiceLimits, "tokensPerMinute" | "unauthenticatedPerMinute">;

const tags = ["registry"];

const query = z.object({
  service: z.literal(SERVICE).optional().meta({ description: "The name of the registry." }),
  scope: z
    .union([z.string(), z.array(z.string())])
    .default([])
    .meta({
      description: "The requested access. May be repeated.",
      examples: ["repository:my-app:pull,push"],
    }),
  // Clients also send account, client_id and offline_token, which are ignored.
});

const token = z
  .object({
    token: z.string(),
    access_token: z.string().meta({ description: "The same token, for OAuth 2.0 clients." }),
    expires_in: z.int().meta({ description: "Seconds." }),
    issued_at: z.iso.datetime(),
  })
  .meta({ id: "RegistryToken" });

const keys = z
  .object({ keys: z.array(z.record(z.string(), z.unknown())) })
  .meta({ id: "RegistryKeys" });

/**
 * The token endpoint for an image registry, and the public key that the registry must trust. Both
 * answer 404 without an issuer. https://distribution.github.io/distribution/spec/auth/token/
 */
export function tokenRoutes(
  issuer: TokenIssuer | undefined,
  limits: TokenLimits,
): FastifyPluginAsyncZod {
  return async (app) => {
    const authenticator = new Authenticator(app, limits);

    app.get(
      "/v1/registry/token",
      {
        config: { access: "open" },
        schema: {
          tags,
          operationId: "getRegistryToken",
          security: [{ registryAccount: [] }],
          summary: "A token for the image registry, with the allowed part of the requested access",
          querystring: query,
          response: {
            200: token,
            400: problemResponse("The service or a scope is malformed."),
            401: problemResponse("The registry account is missing, unknown or replaced."),
            404: problemResponse("This service issues no tokens."),
            429: problemResponse("Too many requests. Wait as long as Retry-After says."),
            "5XX": problemResponse("The registry or the service is not ready. Try again."),
          },
        },
      },
      async (request, reply) => {
        const tokens = required(issuer);
        const { account, holder } = await authenticator.authenticate(tokens, request, reply);
        const scopes = parseScopes([request.query.scope].flat());
        const issued = await tokens.issue(account.username, holder, scopes);
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
          tags,
          operationId: "getRegistryKeys",
          security: [],
          summary: "The public key that the registry's tokens are signed with, as a JWK set",
          response: { 200: keys, "4XX": problemResponse("This service issues no tokens.") },
        },
      },
      async () => required(issuer).keys,
    );
  };
}

function required(issuer: TokenIssuer | undefined): TokenIssuer {
  if (issuer) return issuer;
  throw new InfraError(
    "RDEV_NOT_FOUND",
    "This service issues no tokens for an image registry, because REGISTRY_TOKEN_KEY is not set.",
  );
}

/** Authenticates registry accounts, with rate limits for tokens and wrong passwords. */
class Authenticator {
  readonly #perAccount: Limiter;
  readonly #wrongPasswords: Limiter;

  constructor(app: FastifyInstance, { tokensPerMinute, unauthenticatedPerMinute }: TokenLimits) {
    this.#perAccount = limiter(
      app,
      tokensPerMinute,
      (request) => accountOf(request)?.username ?? "",
    );
    this.#wrongPasswords = limiter(app, unauthenticatedPerMinute, addressOf);
  }

  async authenticate(
    issuer: TokenIssuer,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<{ readonly account: Account; readonly holder: Holder }> {
    const account = accountOf(request);
    const holder =
      account &&
      (issuer.project(account) ?? (await this.#operator(issuer, account, request, reply)));
    if (!account || !holder) {
      await this.#wrongPasswords.count(request);
      reply.header("www-authenticate", 'Basic realm="rdev-infra"');
      throw new InfraError(
        "RDEV_ACCOUNT",
        account
          ? "The registry account is unknown, its password is wrong, or a newer account replaced it."
          : "Authenticate with a registry account: authorization: Basic ….",
      );
    }
    const usage = await this.#perAccount.count(request);
    refuseExcess(reply, usage, `by the account ${account.username}`);
    return { account, holder };
  }

  /** After too many wrong passwords even the right one is refused, so that a guess does not show. */
  async #operator(
    issuer: TokenIssuer,
    account: Account,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<Holder | undefined> {
    const usage = await this.#wrongPasswords.peek(request);
    refuseExcess(reply, usage, "from this address with a wrong password");
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
