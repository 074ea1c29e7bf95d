import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { markIn, markText, NO_OWNER, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Redis, sha256 } from "./client.ts";
import { cacheCommands } from "./commands.ts";

const definition = define({
  module: "redis/user",
  type: "redis:User",
  noun: "Redis user",
  inputs: z.object({
    name: z.string().regex(/^[a-z][a-z0-9-]*$/, "is no name of a-z, 0-9 and -"),
    /** What all of its keys and channels begin with, as `my-app:`. */
    prefix: z
      .string()
      .regex(/^[\x21-\x7e]+:$/, "is no text without spaces that ends with a colon")
      .refine((prefix) => !prefix.startsWith("rdev-infra:"), "is rdev-infra's own"),
    owner: ownerSchema,
    password: z.string().min(12, "is shorter than 12 characters"),
    /** Rules in the words of ACL SETUSER, one space between two. */
    commands: z
      .string()
      .regex(/^[+-]\S+( [+-]\S+)*$/, "are no rules")
      .default(cacheCommands({ scripts: false, info: false })),
  }),
  attributes: z.object({
    host: z.string(),
    port: z.int(),
    username: z.string(),
    tls: z.boolean(),
    /** What the server makes of the rules, for finding drift. */
    rule: z.string(),
  }),
  replaceOn: ["name", "prefix"],
  secrets: ["password"],

  connect: () => Redis.connect(),
  close: (redis) => redis.close(),

  async find(redis, { name, owner }) {
    const [user, mark] = [await redis.user(name), await redis.mark(name)];
    const ownership = ownershipOf(markIn(mark), owner);
    // A server may lose its users when it is started again. Our mark then still stands for the keys.
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
      // Without its mark it is nobody's, until the next `up` puts the mark back.
      owner: ownership === "ours" ? owner : NO_OWNER,
      // Never as another prefix: a delete would take the keys of that one.
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
 * A Redis user that reaches only keys and channels of its prefix, in database 0. Delete ends its
 * connections, deletes those keys and the user.
 */
export class User extends DynamicResource<typeof definition> {
  declare readonly host: pulumi.Output<string>;
  declare readonly port: pulumi.Output<number>;
  declare readonly username: pulumi.Output<string>;
  declare readonly tls: pulumi.Output<boolean>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
