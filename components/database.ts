import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { hostInUrl } from "../core/address.ts";
import type { Owner } from "../core/ownership.ts";
import type { DatabaseAddress } from "../core/settings.ts";
import { databaseName } from "../core/slug.ts";
import { Database as PostgresDatabase } from "../providers/postgres/database.ts";

export interface DatabaseArgs {
  /** The project's slug. Role and database have the same name, with underscores for hyphens. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The maximum number of open sessions of the role. */
  readonly connectionLimit: number;
  /** On delete, keep the database with its data, and disable the role's login. Default: false. */
  readonly retain?: boolean;
  /** The server's address as seen from the project. Default: that of the administrator. */
  readonly address?: DatabaseAddress;
}

/**
 * A PostgreSQL role and its database, closed to the roles of all other projects. Delete ends open
 * sessions and drops both with all data. If `retain` is set, it keeps the data.
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
