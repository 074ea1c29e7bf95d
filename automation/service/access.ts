import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { InfraError } from "../../core/errors.ts";
import { type Key, mayActAs, type Role } from "../keys/key.ts";
import { KeyCache } from "../keys/keys.ts";
import { addressOf, type Limiter, limiter } from "./limiter.ts";
import type { Limits, ServiceParts } from "./parts.ts";
import { Refusals } from "./refusals.ts";

/** Who may use a route: everybody, or keys of that role and above. */
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
 * Lets in whom a route's `access` names: by key, role and project, and not more often than the limits
 * say. Everything before a request's body is read. Refusals are in the audit trail.
 */
export function guard(app: FastifyInstance, parts: ServiceParts, limits: Limits): void {
  const keys = new KeyCache(parts.keys);
  const strangers = limiter(app, limits.strangers, addressOf);
  const requests = limiter(app, limits.requests, ({ key }) => key?.id ?? "");
  const refusals = new Refusals(parts);
  app.addHook("onClose", () => refusals.close());

  app.decorateRequest("key", null);
  app.addHook("onRoute", ({ url, config }) => {
    if (!config?.access) throw new Error(`${url} does not say who may use it`);
  });
  app.addHook("onRequest", async (request, reply) => {
    const { access = "open" } = request.routeOptions.config;
    if (access === "open") return;
    try {
      request.key = await authenticated(request, reply, keys, strangers);
      await demandQuota(request, reply, requests);
      demandRole(request.key, access);
      demandProject(request, (request.params as { slug?: string }).slug);
    } catch (error) {
      if (error instanceof InfraError) await refusals.note(error.code, request);
      throw error;
    }
  });
}

/** The key of a request of a route that is not open. */
export function keyOf({ key }: FastifyRequest): Key {
  if (key) return key;
  throw new InfraError("RDEV_INTERNAL", "An open route asked for the request's key.");
}

/** Throws RDEV_ROLE where the key is good for another project only. */
export function demandProject(request: FastifyRequest, slug: string | undefined): void {
  const { name, project } = keyOf(request);
  if (project === null || slug === undefined || slug === project) return;
  throw new InfraError(
    "RDEV_ROLE",
    `The key "${name}" is good for the project "${project}" only. Use a key of the other project, ` +
      "or one of none.",
  );
}

/** Throws RDEV_ROLE where the key is good for one project only: what is asked for is of all. */
export function demandPlatform(request: FastifyRequest): void {
  const { name, project } = keyOf(request);
  if (project === null) return;
  throw new InfraError("RDEV_ROLE", `The key "${name}" is good for the project "${project}" only.`);
}

function demandRole(key: Key, needed: Role): void {
  if (mayActAs(key, needed)) return;
  throw new InfraError(
    "RDEV_ROLE",
    `The key "${key.name}" is a ${key.role}'s; this needs the role ${needed}.`,
  );
}

/**
 * Who knocks too often without a good key is not even looked up. A key that was good a moment ago
 * goes on, whoever knocks beside it from the same address.
 */
async function authenticated(
  request: FastifyRequest,
  reply: FastifyReply,
  keys: KeyCache,
  strangers: Limiter,
): Promise<Key> {
  const [, text] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (text === undefined || !keys.has(text)) {
    const { isExceeded, retryAfter } = await strangers.look(request);
    if (isExceeded) throw tooMany(reply, retryAfter, "from this address without a good key");
  }
  const key = text === undefined ? undefined : await keys.authenticate(text);
  if (key) return key;
  await strangers.count(request);
  reply.header("www-authenticate", 'Bearer realm="rdev-infra"');
  throw new InfraError(
    "RDEV_KEY",
    text === undefined
      ? "Send a key: authorization: Bearer rdk_…. rdev-infra keys create makes one."
      : "The key is unknown, expired or revoked. rdev-infra keys list shows which are good.",
  );
}

async function demandQuota(
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
