import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { hostInUrl } from "../core/address.ts";
import type { Owner } from "../core/ownership.ts";
import type { DatabaseAddress } from "../core/settings.ts";
import { databaseName } from "../core/slug.ts";
import { Database as PostgresDatabase } from "../providers/postgres/database.ts";

export interface DatabaseArgs {
  /** The project's slug; role and database have its name, with underscores for hyphens. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** Sessions that the role may have open at once. */
  readonly connectionLimit: number;
  /** On delete: keep the database with its data, and lock the role out. Default: false. */
  readonly retain?: boolean;
  /** Where the project reaches the server. Default: where the administrator does. */
  readonly address?: DatabaseAddress;
}

/**
 * A PostgreSQL role and a database of its own, closed to every other project's role. Delete ends
 * open sessions and drops both with all data, or keeps the data where `retain` is set.
 */
export class Database extends pulumi.ComponentResource {
  /** `postgres://role:password@host:port/database?sslmode=…`; a secret. */
  readonly url: pulumi.Output<string>;
  readonly database: pulumi.Output<string>;

  constructor(name: string, args: DatabaseArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:Database", name, {}, options);

    const password = new RandomPassword(
      `${name}-database-password`,
      { length: 32, special: false },
      { parent: this },
    );
    const database = new PostgresDatabase(
      name,
      {
        name: databaseName(args.slug),
        owner: args.owner,
        password: password.result,
        connectionLimit: args.connectionLimit,
        retain: args.retain ?? false,
      },
      { parent: this },
    );

    const { address } = args;
    const { username } = database;
    const host = address ? hostInUrl(address.host) : database.host;
    const port = address?.port ?? database.port;
    const query = pulumi
      .output(address?.sslmode ?? database.sslmode)
      .apply((sslmode) => (sslmode ? `?sslmode=${sslmode}` : ""));
    this.database = database.database;
    this.url = pulumi.secret(
      pulumi.interpolate`postgres://${username}:${password.result}@${host}:${port}/${this.database}${query}`,
    );
    this.registerOutputs({ database: this.database });
  }
}
