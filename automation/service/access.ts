import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InfraError } from "../../core/errors.ts";
import { type Key, mayActAs, type Role } from "../keys/key.ts";
import { KeyCache } from "../keys/keys.ts";
import { addressOf, type Limiter, limiter } from "./limiter.ts";
import type { ServiceLimits, ServiceOptions } from "./options.ts";
import { RefusalAudit } from "./refusal-audit.ts";

/** A route is open to everybody, or to keys with at least this role. */
export type Access = "open" | Role;

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Null on open routes. */
    key: Key | null;
  }
}

/**
 * Checks the key, rate limits, role and project of every request, before its body is read. Refusals
 * are written to the audit trail.
 */
export function requireAccess(
  app: FastifyInstance,
  options: ServiceOptions,
  limits: ServiceLimits,
): void {
  const keys = new KeyCache(options.keys);
  const unauthenticated = limiter(app, limits.unauthenticatedPerMinute, addressOf);
  const requests = limiter(app, limits.requestsPerMinute, ({ key }) => key?.id ?? "");
  const refusals = new RefusalAudit(options);
  app.addHook("onClose", () => refusals.close());

  app.decorateRequest("key", null);
  app.addHook("onRoute", ({ url, config }) => {
    if (!config?.access) throw new Error(`the route ${url} has no "access" in its config`);
  });
  app.addHook("onRequest", async (request, reply) => {
    const { access = "open" } = request.routeOptions.config;
    if (access === "open") return;
    try {
      request.key = await authenticate(request, reply, keys, unauthenticated);
      await requireQuota(request, reply, requests);
      requireRole(request.key, access);
      requireProject(request, (request.params as { slug?: string }).slug);
    } catch (error) {
      if (error instanceof InfraError) await refusals.record(error.code, request);
      throw error;
    }
  });
}

/** The key of a request on a route that is not open. */
export function keyOf({ key }: FastifyRequest): Key {
  if (key) return key;
  throw new InfraError("RDEV_INTERNAL", "A handler of an open route asked for the request's key.");
}

/** Throws RDEV_ROLE if the key is bound to another project. */
export function requireProject(request: FastifyRequest, slug: string | undefined): void {
  const { name, project } = keyOf(request);
  if (project === null || slug === undefined || slug === project) return;
  throw new InfraError(
    "RDEV_ROLE",
    `The key "${name}" is bound to the project "${project}". Use a key of the other project, or one ` +
      "that is bound to none.",
  );
}

/** Throws RDEV_ROLE if the key is bound to a project, for routes that show all projects. */
export function requireUnboundKey(request: FastifyRequest): void {
  const { name, project } = keyOf(request);
  if (project === null) return;
  throw new InfraError("RDEV_ROLE", `The key "${name}" is bound to the project "${project}".`);
}

function requireRole(key: Key, needed: Role): void {
  if (mayActAs(key, needed)) return;
  throw new InfraError(
    "RDEV_ROLE",
    `The key "${key.name}" has the role ${key.role}; this route needs the role ${needed}.`,
  );
}

/**
 * An address with too many failed attempts is refused without a look-up of its key. A key that was
 * valid a moment ago is still let in, so that others at the same address cannot lock it out.
 */
async function authenticate(
  request: FastifyRequest,
  reply: FastifyReply,
  keys: KeyCache,
  unauthenticated: Limiter,
): Promise<Key> {
  const [, text] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (text === undefined || !keys.has(text)) {
    const { isExceeded, retryAfter } = await unauthenticated.peek(request);
    if (isExceeded) throw tooMany(reply, retryAfter, "from this address without a valid key");
  }
  const key = text === undefined ? undefined : await keys.authenticate(text);
  if (key) return key;
  await unauthenticated.count(request);
  reply.header("www-authenticate", 'Bearer realm="rdev-infra"');
  throw new InfraError(
    "RDEV_KEY",
    text === undefined
      ? 'The request has no key. Send "authorization: Bearer rdk_…"; rdev-infra keys create makes one.'
      : "The key is unknown, expired or revoked. rdev-infra keys list shows the valid ones.",
  );
}

async function requireQuota(
  request: FastifyRequest,
  reply: FastifyReply,
  requests: Limiter,
): Promise<void> {
  const { isExceeded, remaining, retryAfter } = await requests.count(request);
  reply.header("ratelimit-remaining", remaining);
  if (isExceeded) throw tooMany(reply, retryAfter, "with this key");
}

export function tooMany(reply: FastifyReply, retryAfter: number, how: string): InfraError {
  reply.header("retry-after", retryAfter);
  return new InfraError(
    "RDEV_RATE_LIMITED",
    `Too many requests ${how}. Wait ${retryAfter} s, as Retry-After says.`,
  );
}
