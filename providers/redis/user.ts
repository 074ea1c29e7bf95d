import { z } from "zod";
import { markIn, markText, NO_OWNER, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import type { CacheSettings } from "../../core/settings.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Redis, sha256 } from "./client.ts";

/** Categories whose commands Redis restricts to the user's key and channel patterns. */
const CATEGORIES = [
  "string bitmap hyperloglog hash list set sortedset geo stream",
  "keyspace pubsub transaction connection",
].flatMap((line) => line.split(" ").map((category) => `+@${category}`));

/** Commands in those categories that no project may use. */
const REFUSED = [
  // For administrators, or with an unbounded cost (KEYS, FLUSHALL, SORT, …).
  "-@admin -@dangerous -@scripting",
  // Quadratic: two texts of 100 KB block the server for seconds.
  "-lcs",
  // Other databases. A delete searches for a project's keys only in database 0.
  "-select -move -copy",
  // These show the names of other projects' keys and channels.
  "-scan -randomkey -client|tracking -pubsub|channels -pubsub|shardchannels",
  // These show counts of the whole server.
  "-dbsize -pubsub|numpat",
];

/** Commands outside those categories that clients send and that reveal nothing about others. */
const ALLOWED = "+select|0 +time +memory|usage +acl|whoami";

const SCRIPTS = "+eval +eval_ro +evalsha +evalsha_ro +script|load +script|exists";

/** The commands of a project's user, in the syntax of ACL SETUSER. A key pattern limits it further. */
export function cacheCommands({ scripts, info }: CacheSettings): string {
  const optional = [...(scripts ? [SCRIPTS] : []), ...(info ? ["+info"] : [])];
  return [...CATEGORIES, ...REFUSED, ALLOWED, ...optional].join(" ");
}

const definition = define({
  module: "redis/user",
  type: "redis:User",
  noun: "Redis user",
  inputs: z.object({
    name: z.string().regex(/^[a-z][a-z0-9-]*$/, "is not a name of a-z, 0-9 and -"),
    /** The prefix of all its keys and channels: `my-app:`. */
    prefix: z
      .string()
      .regex(/^[\x21-\x7e]+:$/, "is not a text without spaces that ends with a colon")
      .refine((prefix) => !prefix.startsWith("rdev-infra:"), "is reserved for rdev-infra"),
    owner: ownerSchema,
    password: z.string().min(12, "is shorter than 12 characters"),
    /** Rules in the syntax of ACL SETUSER, separated by single spaces. */
    commands: z
      .string()
      .regex(/^[+-]\S+( [+-]\S+)*$/, "are not rules of ACL SETUSER")
      .default(cacheCommands({ scripts: false, info: false })),
  }),
  attributes: z.object({
    host: z.string(),
    port: z.int(),
    username: z.string(),
    tls: z.boolean(),
    /** The rules in the server's words, to find drift. */
    rule: z.string(),
  }),
  replaceOn: ["name", "prefix"],
  secrets: ["password"],

  connect: () => Redis.connect(),
  close: (redis) => redis.close(),

  async find(redis, { name, owner }) {
    const [user, mark] = [await redis.user(name), await redis.mark(name)];
    const ownership = ownershipOf(markIn(mark), owner);
    // A server may lose its users in a restart. The mark remains and represents the keys.
    return user || ownership === "ours" ? { id: name, ownership } : undefined;
  },

  async create(redis, { name, owner }) {
    await redis.createUser(name, markText(owner));
    return name;
  },

  async apply(redis, _id, { name, owner, prefix, password, commands }) {
    await redis.setUser(name, { prefix, password, commands, mark: markText(owner) });
    const user = await redis.user(name);
    return { ...attributes(redis, name), rule: user?.rule ?? "" };
  },

  async read(redis, _id, { name, owner, password, rule }) {
    const [user, mark] = [await redis.user(name), await redis.mark(name)];
    const ownership = ownershipOf(markIn(mark), owner);
    if (!user || ownership === "others") return undefined;
    const hasPassword = user.passwords.join() === sha256(password);
    return {
      ...attributes(redis, name),
      // A missing mark is drift, which the next `up` repairs.
      owner: ownership === "ours" ? owner : NO_OWNER,
      // Drift is never reported as another prefix, because a delete would then delete its keys.
      ...(user.rule !== rule && { commands: user.rule }),
      ...(!hasPassword && { password: "" }),
    };
  },

  async delete(redis, _id, { name, prefix }) {
    await redis.deleteUser(name, prefix);
  },
});

function attributes({ host, port, tls }: Redis, username: string) {
  return { host, port, username, tls };
}

export const provider = dynamicProvider(definition);

/**
 * A Redis user that can access only keys and channels with its prefix, in database 0. Delete ends its
 * connections, and deletes those keys and the user.
 */
export class User extends dynamicResource(definition) {}
