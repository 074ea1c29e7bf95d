import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { hostInUrl } from "../core/address.ts";
import type { Owner } from "../core/ownership.ts";
import type { CacheAddress, CacheSettings } from "../core/settings.ts";
import { cacheCommands, User } from "../providers/redis/user.ts";

export interface CacheArgs {
  /** The project's slug: the name of the Redis user and the prefix of its keys. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** Permissions that a user does not have by default. */
  readonly rights: CacheSettings;
  /** The server's address as seen from the project. Default: that of the administrator. */
  readonly address?: CacheAddress;
}

/**
 * A Redis user that can access only keys and channels that begin with `<slug>:`. Delete closes its
 * connections and deletes the user and its keys.
 */
export class Cache extends pulumi.ComponentResource {
  /** `redis://user:password@host:port`; a secret. */
  readonly url: pulumi.Output<string>;
  /** The prefix that every key and channel must have. */
  readonly prefix: string;

  constructor(name: string, args: CacheArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:Cache", name, {}, options);

    this.prefix = `${args.slug}:`;
    const password = new RandomPassword(
      `${name}-cache-password`,
      { length: 32, special: false },
      { parent: this },
    );
    const user = new User(
      name,
      {
        name: args.slug,
        prefix: this.prefix,
        owner: args.owner,
        password: password.result,
        commands: cacheCommands(args.rights),
      },
      { parent: this },
    );

    const { address } = args;
    const { username } = user;
    const host = address ? hostInUrl(address.host) : user.host;
    const port = address?.port ?? user.port;
    const scheme = pulumi
      .output(address?.tls ?? user.tls)
      .apply((tls) => (tls ? "rediss" : "redis"));
    this.url = pulumi.secret(
      pulumi.interpolate`${scheme}://${username}:${password.result}@${host}:${port}`,
    );
    this.registerOutputs({ prefix: this.prefix });
  }
}
