import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { provider } from "../../providers/redis/user.ts";
import { testOwner } from "./owner.ts";
import { uniqueSlug } from "./unique-slug.ts";
import { variable } from "./variables.ts";

const PASSWORD = "first-Passw0rd";

/** A project's user on the sandbox's Redis. */
export interface CacheUser {
  readonly slug: string;
  readonly prefix: string;
  readonly url: string;
  readonly outs: Record<string, unknown>;
  /** Checked inputs with defaults, as the engine passes them. */
  inputs(more?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Runs commands on a new connection and returns their answers. Throws the first error. */
  send(...commands: readonly string[][]): Promise<unknown[]>;
  connect(): Redis;
}

/** Creates project users for a suite, and deletes them after its last test. */
export function cacheUsers(): (more?: Record<string, unknown>) => Promise<CacheUser> {
  const made: CacheUser[] = [];
  after(async () => {
    for (const { slug, outs } of made) await provider.delete(slug, outs);
  });
  return async (more = {}) => {
    const slug = uniqueSlug();
    const prefix = `${slug}:`;
    const inputs = async (others: Record<string, unknown> = {}) => {
      const owner = testOwner(slug);
      const given = { name: slug, prefix, owner, password: PASSWORD, ...more, ...others };
      const { inputs: checked, failures } = await provider.check({}, given);
      assert.deepEqual(failures, []);
      return checked;
    };
    const { outs } = await provider.create(await inputs());
    const { host } = new URL(variable("REDIS_ADMIN_URL"));
    const url = `redis://${slug}:${PASSWORD}@${host}`;
    const connect = () => connected(url);
    const user = { slug, prefix, url, outs, inputs, connect, send: send(connect) };
    made.push(user);
    return user;
  };
}

function connected(url: string): Redis {
  const redis = new Redis(url, { enableReadyCheck: false, retryStrategy: () => null });
  redis.on("error", () => undefined);
  return redis;
}

function send(connect: () => Redis): CacheUser["send"] {
  return async (...commands) => {
    const redis = connect();
    try {
      const answers: unknown[] = [];
      for (const [command = "", ...args] of commands) {
        answers.push(await redis.call(command, ...args));
      }
      return answers;
    } finally {
      redis.disconnect();
    }
  };
}
