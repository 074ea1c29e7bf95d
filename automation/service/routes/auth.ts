import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import { describeGrants } from "../../identity/identity.ts";
import type { SignIn } from "../../identity/sign-in.ts";
import { ROLES } from "../../../core/identity.ts";
import { identityOf, refuseExcess } from "../access.ts";
import { addressOf, limiter } from "../limiter.ts";
import type { ServiceLimits, ServiceOptions } from "../options.ts";
import { problemResponse, problemResponses } from "../schemas/problem.ts";
import { sessionCookie, signInCookie } from "../session-cookie.ts";

const tags = ["sign-in"];

const caller = z
  .object({
    kind: z.enum(["key", "user", "serviceAccount"]),
    actor: z.string().meta({
      description: "The caller's name in the audit trail.",
      examples: ["user:alice (7)"],
    }),
    grants: z.array(
      z.object({
        role: z.enum(ROLES),
        project: z.string().nullable().meta({ description: "Null: all projects." }),
      }),
    ),
  })
  .meta({ id: "Caller", description: "Who calls the API, and what the caller may do." });

const methods = z
  .object({
    browser: z.boolean().meta({ description: "Whether /auth/sign-in leads to a provider." }),
    issuer: z
      .string()
      .optional()
      .meta({
        description: "The OpenID Connect provider.",
        examples: ["https://git.example.com"],
      }),
  })
  .meta({ id: "SignInMethods", description: "An API key is accepted everywhere, too." });

const redirect = z.null().meta({ description: "Continue at Location." });
const openResponses = {
  302: redirect,
  "4XX": problemResponse("The sign-in cannot start or failed, or this service has none."),
  "5XX": problemResponse("The provider does not answer. Try again."),
};

/** Sign-in for people with a browser. Without its settings these routes answer 404. */
export function authRoutes(
  { authenticator, audit }: ServiceOptions,
  limits: ServiceLimits,
): FastifyPluginAsyncZod {
  return async (app) => {
    const attempts = limiter(app, limits.unauthenticatedPerMinute, addressOf);

    app.addHook("onSend", async (_request, reply) => {
      reply.header("cache-control", "no-store").header("referrer-policy", "no-referrer");
    });

    app.get(
      "/auth/sign-in",
      {
        config: { access: "open" },
        schema: {
          tags,
          operationId: "signIn",
          security: [],
          summary: "Sign in with a browser: leads to the OpenID Connect provider",
          querystring: z.strictObject({
            return: z.string().max(2_000).default("/auth/me").meta({
              description: "The path of the service to show afterwards.",
            }),
          }),
          response: openResponses,
        },
      },
      async (request, reply) => {
        const signIn = required(authenticator.signIn);
        refuseExcess(reply, await attempts.count(request), "from this address");
        const { page, cookie } = await signIn.start(request.query.return);
        const { name, options } = signInCookie(signIn.origin);
        reply.setCookie(name, cookie.text, { ...options, maxAge: cookie.lifetime });
        return reply.redirect(page.href);
      },
    );

    app.get(
      "/auth/callback",
      {
        config: { access: "open" },
        schema: {
          tags,
          operationId: "finishSignIn",
          security: [],
          summary: "Where the provider sends the browser back to",
          response: openResponses,
        },
      },
      async (request, reply) => {
        const signIn = required(authenticator.signIn);
        refuseExcess(reply, await attempts.count(request), "from this address");
        const started = signInCookie(signIn.origin);
        const { search } = new URL(request.url, signIn.origin);
        const done = await signIn.finish(search, request.cookies[started.name]);
        await audit.record({
          action: "auth.sign-in",
          actor: done.caller.actor,
          component: "http",
          result: "success",
          details: { address: request.ip, with: describeGrants(done.caller.grants) },
        });
        const { name, options } = sessionCookie(signIn.origin);
        reply.clearCookie(started.name, started.options);
        reply.setCookie(name, done.session.text, { ...options, maxAge: done.session.lifetime });
        return reply.redirect(done.returnTo);
      },
    );

    app.get(
      "/auth/methods",
      {
        config: { access: "open" },
        schema: {
          tags,
          operationId: "getSignInMethods",
          security: [],
          summary: "How people can sign in",
          response: { 200: methods, "4XX": problemResponse("The request is malformed.") },
        },
      },
      async () => {
        const { signIn } = authenticator;
        return signIn ? { browser: true, issuer: signIn.issuer } : { browser: false };
      },
    );

    app.post(
      "/auth/sign-out",
      {
        config: { access: "known" },
        schema: {
          tags,
          operationId: "signOut",
          summary: "End the browser's session",
          response: {
            204: z.null().meta({ description: "The cookie is gone." }),
            ...problemResponses(404),
          },
        },
      },
      async (request, reply) => {
        const { name, options } = sessionCookie(required(authenticator.signIn).origin);
        await audit.record({
          action: "auth.sign-out",
          actor: identityOf(request).actor,
          component: "http",
          result: "success",
          details: { address: request.ip },
        });
        return reply.clearCookie(name, options).code(204).send(null);
      },
    );

    app.get(
      "/auth/me",
      {
        config: { access: "known" },
        schema: {
          tags,
          operationId: "getCaller",
          summary: "Who the caller is, and what the caller may do",
          response: { 200: caller, ...problemResponses() },
        },
      },
      async (request) => {
        const { kind, actor, grants } = identityOf(request);
        return { kind, actor, grants: [...grants] };
      },
    );
  };
}

function required(signIn: SignIn | undefined): SignIn {
  if (signIn) return signIn;
  throw new InfraError(
    "RDEV_NOT_FOUND",
    "People cannot sign in to this service, because RDEV_INFRA_IDENTITY_FILE has no people.signIn.",
  );
}
