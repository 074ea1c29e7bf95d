import pg from "pg";
import { databaseName } from "../../core/slug.ts";
import { provider } from "../../providers/postgres/database.ts";
import { testOwner } from "./owner.ts";
import { uniqueSlug } from "./unique-slug.ts";
import { variable } from "./variables.ts";

const PASSWORD = "first-Passw0rd~!";

type Row = Record<string, unknown>;

/** A project's role and database on the sandbox's PostgreSQL. */
interface ProjectDatabase {
  readonly slug: string;
  /** The name of the role and of the database. */
  readonly name: string;
  readonly outs: Row;
  inputs(more?: Row): Row;
  /** Opens a session of the role, by default in its own database. It is closed after the suite. */
  connect(database?: string): Promise<pg.Client>;
  /** Runs statements as the role, and returns the rows of the last one. */
  run(statements: readonly string[], database?: string): Promise<Row[]>;
}

/** Creates roles and databases of projects for a suite, and drops them after it. */
export function projectDatabases(): {
  readonly make: () => Promise<ProjectDatabase>;
  /** A database of an older version: the role owns it, and the marks name only the project. */
  readonly makeBefore: () => Promise<ProjectDatabase>;
  /** A database of no project, open to all roles, as is PostgreSQL's default. */
  readonly makeOther: () => Promise<string>;
} {
  const names: string[] = [];
  const sessions: pg.Client[] = [];
  after(async () => {
    for (const session of sessions) await session.end();
    for (const name of names) {
      const [found] = await asAdmin([`SELECT FROM pg_database WHERE datname = '${name}'`]);
      if (found) await asAdmin([`ALTER DATABASE ${name} IS_TEMPLATE false`]);
      await asAdmin([`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`]);
    }
    for (const name of names) {
      const [found] = await asAdmin([`SELECT FROM pg_roles WHERE rolname = '${name}'`]);
      if (found) await asAdmin([`DROP OWNED BY ${name} CASCADE`, `DROP ROLE ${name}`]);
    }
  });

  const named = () => {
    const slug = uniqueSlug();
    const name = databaseName(slug);
    names.push(name);
    const inputs = (more: Row = {}) => ({
      name,
      owner: testOwner(slug),
      password: PASSWORD,
      connectionLimit: 7,
      retain: false,
      ...more,
    });
    const connect = async (database = name) => {
      const session = await connected(urlOf(name, database));
      sessions.push(session);
      return session;
    };
    const run = (statements: readonly string[], database = name) =>
      rowsOf(urlOf(name, database), statements);
    return { slug, name, inputs, connect, run };
  };

  return {
    make: async () => {
      const made = named();
      const { outs } = await provider.create(made.inputs());
      return { ...made, outs };
    },
    makeBefore: async () => {
      const made = named();
      const { name, slug } = made;
      const mark = `managed-by: rdev-infra, project: ${slug}`;
      await asAdmin([
        `CREATE ROLE ${name} LOGIN CONNECTION LIMIT 7 PASSWORD '${PASSWORD}'`,
        `COMMENT ON ROLE ${name} IS '${mark}'`,
        `CREATE DATABASE ${name} OWNER ${name} TEMPLATE template0 ENCODING 'UTF8'`,
        `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
        `COMMENT ON DATABASE ${name} IS '${mark}'`,
      ]);
      const { owner: _, ...inputs } = made.inputs();
      const { hostname, port } = new URL(variable("POSTGRES_ADMIN_URL"));
      const attributes = { host: hostname, port: Number(port), database: name, username: name };
      return { ...made, outs: { ...inputs, project: slug, ...attributes } };
    },
    makeOther: async () => {
      const { name } = named();
      await asAdmin([`CREATE DATABASE ${name}`]);
      return name;
    },
  };
}

/** Runs statements as the administrator, and returns the rows of the last one. */
export function asAdmin(statements: readonly string[], database = "postgres"): Promise<Row[]> {
  const url = new URL(variable("POSTGRES_ADMIN_URL"));
  url.pathname = database;
  return rowsOf(url.href, statements);
}

/** The connection URL of a role. */
export function urlOf(role: string, database: string, password = PASSWORD): string {
  const url = new URL(variable("POSTGRES_ADMIN_URL"));
  return `postgres://${role}:${encodeURIComponent(password)}@${url.host}/${database}`;
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function rowsOf(connectionString: string, statements: readonly string[]): Promise<Row[]> {
  const client = await connected(connectionString);
  try {
    let rows: Row[] = [];
    for (const statement of statements) ({ rows } = await client.query<Row>(statement));
    return rows;
  } finally {
    await client.end();
  }
}
