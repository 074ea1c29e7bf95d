import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { HTTP_STATUS, InfraError } from "../../core/errors.ts";
import type { Authenticator, Credential } from "../identity/authenticator.ts";
import { describeGrants, type Grant, grantsFor, type Identity } from "../identity/identity.ts";
import type { Role } from "../../core/identity.ts";
import { addressOf, type Limiter, limiter, type Usage } from "./limiter.ts";
import type { ServiceLimits, ServiceOptions } from "./options.ts";
import { RefusalAudit } from "./refusal-audit.ts";
import { requireSameOrigin, sessionCookie } from "./session-cookie.ts";

/** A route is open to everybody, to every known caller, or to callers with at least this role. */
export type Access = "open" | "known" | Role;

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
    /** Refuses callers that are bound to projects. */
    allProjects?: boolean;
  }
  interface FastifyRequest {
    /** Null on open routes. */
    identity: Identity | null;
  }
}

/**
 * Decides on every request before its body is read: caller, rate limits, role and project. Refusals are
 * written to the audit trail.
 */
export function requireAccess(
  app: FastifyInstance,
  options: ServiceOptions,
  limits: ServiceLimits,
): void {
  const { authenticator } = options;
  const unauthenticated = limiter(app, limits.unauthenticatedPerMinute, addressOf);
  const requests = limiter(app, limits.requestsPerMinute, ({ identity }) => identity?.id ?? "");
  const refusals = new RefusalAudit(options);
  app.addHook("onClose", () => refusals.close());

  app.decorateRequest("identity", null);
  app.addHook("onRoute", ({ url, config }) => {
    if (!config?.access) throw new Error(`the route ${url} has no "access" in its config`);
  });
  app.addHook("onRequest", async (request, reply) => {
    const { access = "open", allProjects = false } = request.routeOptions.config;
    if (access === "open") return;
    const credential = credentialOf(request, authenticator);
    request.identity = await authenticate(
      { request, reply, authenticator, unauthenticated },
      credential,
    );
    if (credential?.kind === "session") requireSameOrigin(request, authenticator.signIn?.origin);
    await requireQuota(request, reply, requests);
    requireRole(request.identity, access);
    requireProject(request, (request.params as { slug?: string }).slug);
    if (allProjects) requireAllProjects(request);
  });
  // Handlers refuse as well, once they know what exactly the request asks for.
  app.addHook("onError", async (request, _reply, error) => {
    const { access = "open" } = request.routeOptions.config;
    if (access === "open") return;
    // A page asks who its visitor is before anybody has signed in. That is no attempt to get in.
    const isVisit = access === "known" && credentialOf(request, authenticator) === undefined;
    if (error instanceof InfraError && !isVisit) await refusals.record(error.code, request);
  });
}

/** The caller of a request on a route that is not open. */
export function identityOf({ identity }: FastifyRequest): Identity {
  if (identity) return identity;
  throw new InfraError("RDEV_INTERNAL", "A handler of an open route asked for the caller.");
}

/** Throws RDEV_ROLE if the caller does not have the route's role for this project. */
export function requireProject(request: FastifyRequest, slug: string | undefined): void {
  const projects = allowedProjects(request);
  if (projects === undefined || slug === undefined || projects.includes(slug)) return;
  throw boundTo(request, projects);
}

/** Throws RDEV_ROLE if the caller is bound to projects. */
function requireAllProjects(request: FastifyRequest): void {
  const projects = allowedProjects(request);
  if (projects !== undefined) throw boundTo(request, projects);
}

/**
 * The projects that a list may show: the wanted one, or all that the caller may see. Undefined means all
 * projects. Throws RDEV_ROLE if the wanted one is another.
 */
export function visibleProjects(
  request: FastifyRequest,
  wanted: string | undefined,
): readonly string[] | undefined {
  requireProject(request, wanted);
  return wanted === undefined ? allowedProjects(request) : [wanted];
}

/** The projects for which the caller has the route's role; undefined: all. */
function allowedProjects(request: FastifyRequest): readonly string[] | undefined {
  const grants = neededGrants(request);
  if (grants === undefined || grants.some(({ project }) => project === null)) return undefined;
  return grants.flatMap(({ project }) => project ?? []);
}

/** The grants that permit the route; undefined if it needs no role. */
function neededGrants(request: FastifyRequest): readonly Grant[] | undefined {
  const { access = "open" } = request.routeOptions.config;
  if (access === "open" || access === "known") return undefined;
  return grantsFor(identityOf(request), access);
}

function boundTo(request: FastifyRequest, projects: readonly string[]): InfraError {
  const names = projects.map((slug) => `"${slug}"`).join(", ");
  return new InfraError(
    "RDEV_ROLE",
    `The ${identityOf(request).title} is bound to the project ${names}. Use one that is bound to the ` +
      "other project, or to none.",
  );
}

function requireRole(identity: Identity, needed: Exclude<Access, "open">): void {
  if (needed === "known" || grantsFor(identity, needed).length > 0) return;
  throw new InfraError(
    "RDEV_ROLE",
    `The ${identity.title} has ${describeGrants(identity.grants)}; this route needs the role ${needed}.`,
  );
}

/** A bearer token, or else the cookie of a session. */
function credentialOf(
  { headers, cookies }: FastifyRequest,
  { signIn }: Authenticator,
): Credential | undefined {
  const [, text] = /^bearer +(\S+)$/i.exec(headers.authorization ?? "") ?? [];
  if (text !== undefined) return { kind: "bearer", text };
  const session = signIn && cookies[sessionCookie(signIn.origin).name];
  return session === undefined ? undefined : { kind: "session", text: session };
}

interface Attempt {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly authenticator: Authenticator;
  readonly unauthenticated: Limiter;
}

/**
 * An address with too many failed attempts is refused without a look-up of its key. A key that was
 * valid a moment ago is still let in, and so is a valid token, so that others at the same address cannot
 * lock them out.
 */
async function authenticate(
  { request, reply, authenticator, unauthenticated }: Attempt,
  credential: Credential | undefined,
): Promise<Identity> {
  const requireAttempts = async () => {
    const usage = await unauthenticated.peek(request);
    refuseExcess(reply, usage, "from this address without a valid key");
  };
  if (authenticator.mustLimitFirst(credential)) await requireAttempts();
  try {
    return await authenticator.authenticate(credential);
  } catch (error) {
    if (!(error instanceof InfraError) || HTTP_STATUS[error.code] !== 401) throw error;
    if (!authenticator.mustLimitFirst(credential)) await requireAttempts();
    await unauthenticated.count(request);
    reply.header("www-authenticate", 'Bearer realm="rdev-infra"');
    throw error;
  }
}

async function requireQuota(
  request: FastifyRequest,
  reply: FastifyReply,
  requests: Limiter,
): Promise<void> {
  const usage = await requests.count(request);
  reply.header("ratelimit-remaining", usage.remaining);
  refuseExcess(reply, usage, "by this caller");
}

/** Throws RDEV_RATE_LIMITED, with Retry-After, if the limit is exceeded. */
export function refuseExcess(
  reply: FastifyReply,
  { isExceeded, retryAfter }: Usage,
  how: string,
): void {
  if (!isExceeded) return;
  reply.header("retry-after", retryAfter);
  throw new InfraError(
    "RDEV_RATE_LIMITED",
    `Too many requests ${how}. Wait ${retryAfter} s, as Retry-After says.`,
  );
}
