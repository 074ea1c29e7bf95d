import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { hostInUrl } from "../core/address.ts";
import type { Owner } from "../core/ownership.ts";
import type { CacheAddress, CacheSettings } from "../core/settings.ts";
import { cacheCommands, User } from "../providers/redis/user.ts";

export interface CacheArgs {
  /** The project's slug: the Redis user's name, and the prefix of its keys. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** What it may do beyond the default. */
  readonly rights: CacheSettings;
  /** Where the project reaches the server. Default: where the administrator does. */
  readonly address?: CacheAddress;
}

/**
 * A Redis user that reaches only keys and channels that begin with `<slug>:`. Delete ends its
 * connections and deletes the user and its keys.
 */
export class Cache extends pulumi.ComponentResource {
  /** `redis://user:password@host:port`; a secret. */
  readonly url: pulumi.Output<string>;
  /** What every key and channel must begin with. */
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
