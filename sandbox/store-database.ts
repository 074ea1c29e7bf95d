import pg from "pg";

/** A database for rdev-infra itself, without tables. */
export interface StoreDatabase {
  /** The URL with the role of the running service. */
  readonly url: string;
  /** The URL with the role that owns the tables. */
  readonly ownerUrl: string;
  readonly serviceRole: string;
}

/** Creates a database and its two roles, `<name>` and `<name>_owner`. */
export async function createStoreDatabase(
  adminUrl: string,
  name: string,
  makePassword: () => string,
): Promise<StoreDatabase> {
  const owner = `${name}_owner`;
  const [password, ownerPassword] = [makePassword(), makePassword()];
  await queryOnce(adminUrl, `CREATE ROLE ${owner} LOGIN PASSWORD '${ownerPassword}'`);
  await queryOnce(adminUrl, `CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
  await queryOnce(adminUrl, `CREATE DATABASE ${name} OWNER ${owner}`);
  const { host } = new URL(adminUrl);
  return {
    url: `postgres://${name}:${password}@${host}/${name}`,
    ownerUrl: `postgres://${owner}:${ownerPassword}@${host}/${name}`,
    serviceRole: name,
  };
}

/** Runs one statement on a new connection. */
export async function queryOnce(
  url: string,
  statement: string,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}
