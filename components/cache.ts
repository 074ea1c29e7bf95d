import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { User } from "../providers/redis/user.ts";

export interface CacheArgs {
  /** The project's slug: the Redis user's name, and the prefix of its keys. */
  readonly slug: string;
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
        project: args.slug,
        password: password.result,
      },
      { parent: this },
    );

    const { username, host, port } = user;
    const scheme = user.tls.apply((tls) => (tls ? "rediss" : "redis"));
    this.url = pulumi.secret(
      pulumi.interpolate`${scheme}://${username}:${password.result}@${host}:${port}`,
    );
    this.registerOutputs({ prefix: this.prefix });
  }
}
