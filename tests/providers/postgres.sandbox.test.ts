import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import pg from "pg";
import { markText, NO_OWNER } from "../../core/ownership.ts";
import { databaseName } from "../../core/slug.ts";
import { provider } from "../../providers/postgres/database.ts";
import { fails, rejected } from "../support/errors.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable, withVariables } from "../support/variables.ts";
import { testOwner } from "../support/owner.ts";

const PASSWORD = "first-Passw0rd~!";

describe("postgres:Database", () => {
  const used: string[] = [];
  let slug: string;
  let name: string;

  const inputs = (more: Record<string, unknown> = {}) => ({
    name,
    owner: testOwner(slug),
    password: PASSWORD,
    connectionLimit: 7,
    retain: false,
    ...more,
  });

  beforeEach(() => {
    slug = uniqueSlug();
    name = databaseName(slug);
    used.push(name);
  });

  after(async () => {
    for (const each of used) {
      await admin(`DROP DATABASE IF EXISTS ${each} WITH (FORCE)`);
      await admin(`DROP ROLE IF EXISTS ${each}`);
    }
  });

  it("creates a role with few rights and a marked database that the administrator owns", async () => {
    const { id, outs } = await provider.create(inputs());
    assert.equal(id, name);
    const { hostname, port } = new URL(variable("POSTGRES_ADMIN_URL"));
    assert.deepEqual(outs, {
      ...inputs(),
      host: hostname,
      port: Number(port),
      sslmode: "",
      database: name,
      username: name,
    });
    assert.deepEqual(await roles(name), [
      {
        rolcanlogin: true,
        rolsuper: false,
        rolcreatedb: false,
        rolcreaterole: false,
        rolreplication: false,
        rolbypassrls: false,
        rolconnlimit: 7,
        comment: markText(testOwner(slug)),
      },
    ]);
    const [database] = await admin(
      `SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding,
              shobj_description(oid, 'pg_database') AS comment
       FROM pg_database WHERE datname = '${name}'`,
    );
    assert.deepEqual(database, {
      owner: new URL(variable("POSTGRES_ADMIN_URL")).username,
      encoding: "UTF8",
      comment: markText(testOwner(slug)),
    });

    const rows = await as(name, PASSWORD, [
      "CREATE TABLE notes (text text)",
      "INSERT INTO notes VALUES ('kept')",
      "SELECT text FROM notes",
    ]);
    assert.deepEqual(rows, [{ text: "kept" }]);
  });

  it("refuses a project's role in another project's database", async () => {
    await provider.create(inputs());
    const neighbour = uniqueSlug();
    const other = databaseName(neighbour);
    used.push(other);
    await provider.create(inputs({ name: other, owner: testOwner(neighbour) }));
    await rejected(as(name, PASSWORD, ["SELECT 1"], other), /permission denied for database/);
  });

  it("adopts the marked role without a database that a killed run left", async () => {
    await admin(`CREATE ROLE ${name} NOLOGIN`);
    await admin(`COMMENT ON ROLE ${name} IS '${markText(testOwner(slug))}'`);
    await provider.create(inputs());
    assert.deepEqual(await as(name, PASSWORD, ["SELECT 1 AS one"]), [{ one: 1 }]);
  });

  it("adopts a database that was created but not yet marked", async () => {
    await admin(`CREATE ROLE ${name} NOLOGIN`);
    await admin(`COMMENT ON ROLE ${name} IS '${markText(testOwner(slug))}'`);
    await admin(`CREATE DATABASE ${name} OWNER ${name}`);
    await provider.create(inputs());
    assert.deepEqual(await as(name, PASSWORD, ["SELECT 1 AS one"]), [{ one: 1 }]);
  });

  it("refuses a role made by hand, and leaves it untouched", async () => {
    await admin(`CREATE ROLE ${name} LOGIN CONNECTION LIMIT 3`);
    const before = await roles(name);
    const error = await fails(provider.create(inputs()), "RDEV_NOT_OURS", [PASSWORD]);
    assert.match(error.message, new RegExp(name));
    assert.deepEqual(await roles(name), before);
    assert.deepEqual(await admin(`SELECT 1 FROM pg_database WHERE datname = '${name}'`), []);
    await provider.delete(name, inputs());
    assert.deepEqual(await roles(name), before);
  });

  it("refuses a database made by hand, even if the role is ours", async () => {
    await admin(`CREATE DATABASE ${name}`);
    await fails(provider.create(inputs()), "RDEV_NOT_OURS");
    assert.deepEqual(await roles(name), []);
    await admin(`CREATE ROLE ${name} NOLOGIN`);
    await admin(`COMMENT ON ROLE ${name} IS '${markText(testOwner(slug))}'`);
    await fails(provider.create(inputs()), "RDEV_NOT_OURS");
    await provider.delete(name, inputs());
    assert.equal((await admin(`SELECT 1 FROM pg_database WHERE datname = '${name}'`)).length, 1);
  });

  it("refuses an object of another project", async () => {
    await provider.create(inputs());
    await fails(provider.create(inputs({ owner: testOwner(uniqueSlug()) })), "RDEV_NOT_OURS");
  });

  it("rotates the password: the new one works at once, the old one is refused", async () => {
    const { outs } = await provider.create(inputs());
    const next = inputs({ password: "second-Passw0rd~!", connectionLimit: 3 });
    const updated = await provider.update(name, outs ?? {}, next);
    assert.deepEqual(updated.outs, { ...outs, ...next });
    assert.equal((await roles(name))[0]?.["rolconnlimit"], 3);
    assert.deepEqual(await as(name, "second-Passw0rd~!", ["SELECT 1 AS one"]), [{ one: 1 }]);
    await rejected(as(name, PASSWORD, ["SELECT 1"]), /password authentication failed/);
  });

  it("sends no password that the server could log", async () => {
    const { outs } = await provider.create(inputs());
    const settings = await admin(`SELECT rolpassword FROM pg_authid WHERE rolname = '${name}'`);
    assert.match(String(settings[0]?.["rolpassword"]), /^SCRAM-SHA-256\$4096:/);
    const { port } = new URL(variable("POSTGRES_ADMIN_URL"));
    await recorded(Number(port), async (url, sent) => {
      const next = inputs({ password: "third-Passw0rd~!" });
      await withVariables({ POSTGRES_ADMIN_URL: url }, () =>
        provider.update(name, outs ?? {}, next),
      );
      assert.match(sent(), /ALTER ROLE/);
      assert.ok(!sent().includes("third-Passw0rd"));
    });
  });

  it("finds drift of the limit and of both marks, and corrects it", async () => {
    const { outs = {} } = await provider.create(inputs());
    assert.deepEqual(await provider.read(name, outs), { id: name, props: outs, inputs: inputs() });
    await admin(`ALTER ROLE ${name} CONNECTION LIMIT 99`);
    await admin(`COMMENT ON DATABASE ${name} IS NULL`);
    const drifted = await provider.read(name, outs);
    assert.deepEqual(drifted.props, { ...outs, connectionLimit: 99, owner: NO_OWNER });
    const { changes, replaces } = await provider.diff(name, drifted.props, inputs());
    assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
    await provider.update(name, drifted.props, inputs());
    assert.deepEqual((await provider.read(name, outs)).props, outs);
  });

  it("notices that the object is gone, or belongs to somebody else", async () => {
    const { outs = {} } = await provider.create(inputs());
    await admin(`COMMENT ON ROLE ${name} IS 'the payroll'`);
    assert.deepEqual(await provider.read(name, outs), { id: "", props: {} });
    await admin(`COMMENT ON ROLE ${name} IS '${markText(testOwner(slug))}'`);
    await admin(`DROP DATABASE ${name}`);
    const { id, props } = await provider.read(name, outs);
    assert.deepEqual(
      { id, props },
      { id: name, props: { ...outs, database: "", connectionLimit: 0 } },
    );
    await fails(provider.update(name, outs, inputs({ connectionLimit: 2 })), "RDEV_GONE");
    await admin(`DROP ROLE ${name}`);
    assert.deepEqual(await provider.read(name, outs), { id: "", props: {} });
    await fails(provider.update(name, outs, inputs({ connectionLimit: 2 })), "RDEV_GONE");
  });

  it("deletes role and database despite open sessions, also twice", async () => {
    const { outs = {} } = await provider.create(inputs());
    const session = new pg.Client(login(name, PASSWORD));
    const ended = new Promise<Error>((resolve) => session.on("error", resolve));
    await session.connect();
    await provider.delete(name, outs);
    assert.match((await ended).message, /terminating connection|terminated/);
    assert.deepEqual(await roles(name), []);
    assert.deepEqual(await admin(`SELECT 1 FROM pg_database WHERE datname = '${name}'`), []);
    await provider.delete(name, outs);
  });

  it("retains the data, locks the role, and adopts both again later", async () => {
    const { outs = {} } = await provider.create(inputs({ retain: true }));
    await as(name, PASSWORD, ["CREATE TABLE notes AS SELECT 'kept' AS text"]);
    await provider.delete(name, outs);
    await rejected(as(name, PASSWORD, ["SELECT 1"]), /password authentication failed/);
    await provider.delete(name, outs);

    await provider.create(inputs({ password: "later-Passw0rd~!" }));
    const rows = await as(name, "later-Passw0rd~!", ["SELECT text FROM notes"]);
    assert.deepEqual(rows, [{ text: "kept" }]);
  });

  it("creates again what a delete removed before it failed", async () => {
    const { outs } = await provider.create(inputs());
    const begun = { ...outs, deleteBegun: true };
    await admin(`ALTER ROLE ${name} NOLOGIN PASSWORD NULL`);
    await admin(`DROP DATABASE ${name}`);
    const { changes, replaces } = await provider.diff(name, begun, inputs());
    assert.deepEqual({ changes, replaces }, { changes: true, replaces: [] });
    assert.deepEqual((await provider.update(name, begun, inputs())).outs, outs);
    assert.deepEqual(await as(name, PASSWORD, ["SELECT 1 AS one"]), [{ one: 1 }]);
  });

  it("is created again after a delete whose answer was lost", async () => {
    const { outs } = await provider.create(inputs());
    await provider.delete(name, outs);
    const { changes, replaces } = await provider.diff(
      name,
      { ...outs, deleteBegun: true },
      inputs(),
    );
    assert.deepEqual({ changes, replaces }, { changes: true, replaces: ["name"] });
  });

  it("reports a role without database or login as drift, and an up repairs it", async () => {
    const { outs } = await provider.create(inputs());
    await admin(`ALTER ROLE ${name} NOLOGIN`);
    await admin(`DROP DATABASE ${name}`);
    const { id, props } = await provider.read(name, outs);
    assert.equal(id, name);
    assert.deepEqual(props, { ...outs, database: "", connectionLimit: 0 });
    assert.equal((await provider.diff(name, props, inputs())).changes, true);
    await provider.update(name, props, inputs());
    assert.deepEqual((await provider.read(name, outs)).props, outs);
    assert.deepEqual(await as(name, PASSWORD, ["SELECT 1 AS one"]), [{ one: 1 }]);
  });

  it("records a create that failed half way, and an update finishes it", async () => {
    const half = await asLesserAdmin("CREATEROLE", () =>
      fails(provider.create(inputs()), "RDEV_FORBIDDEN", [PASSWORD]),
    );
    assert.equal(half.id, name);
    assert.deepEqual(half.properties, inputs());
    const { outs } = await provider.update(name, half.properties ?? {}, inputs());
    assert.equal((outs as { database?: string }).database, name);
    assert.deepEqual(await as(name, PASSWORD, ["SELECT 1 AS one"]), [{ one: 1 }]);
  });

  it("needs no superuser", async () => {
    await asLesserAdmin("CREATEROLE CREATEDB", async () => {
      const { outs = {} } = await provider.create(inputs({ retain: true }));
      const next = inputs({ password: "second-Passw0rd~!", retain: true });
      await provider.update(name, outs, next);
      const session = new pg.Client(login(name, "second-Passw0rd~!"));
      session.on("error", () => undefined);
      await session.connect();
      await provider.delete(name, outs);
      await provider.create(inputs());
      await provider.delete(name, inputs());
      assert.deepEqual(await roles(name), []);
    });
  });

  it("reports which credentials were refused", async () => {
    const url = new URL(variable("POSTGRES_ADMIN_URL"));
    url.password = "wrong-Passw0rd";
    await withVariables({ POSTGRES_ADMIN_URL: url.href }, async () => {
      const error = await fails(provider.create(inputs()), "RDEV_UNAUTHORIZED", ["wrong-Passw0rd"]);
      assert.match(error.message, /POSTGRES_ADMIN_URL/);
      assert.equal(error.id, undefined);
    });
  });

  it("reports a server that is down", async () => {
    const url = new URL(variable("POSTGRES_ADMIN_URL"));
    url.port = "1";
    await withVariables({ POSTGRES_ADMIN_URL: url.href }, () =>
      fails(provider.read(name, inputs()), "RDEV_UNREACHABLE", [url.password]),
    );
  });

  it("names every wrong input", async () => {
    const { failures } = await provider.check(
      {},
      inputs({ name: 'x"; DROP ROLE y', password: "lücke é", connectionLimit: 0 }),
    );
    assert.deepEqual(
      failures?.map(({ property }) => property),
      ["name", "password", "password", "connectionLimit"],
    );
    assert(!JSON.stringify(failures).includes("lücke"));
  });
});

function login(user: string, password: string, database = user): pg.ClientConfig {
  const { hostname, port } = new URL(variable("POSTGRES_ADMIN_URL"));
  return { host: hostname, port: Number(port), user, password, database };
}

async function as(user: string, password: string, statements: string[], database = user) {
  return query(login(user, password, database), statements);
}

async function admin(statement: string) {
  return query({ connectionString: variable("POSTGRES_ADMIN_URL") }, [statement]);
}

/** Runs `work` with a URL that leads through a proxy, which records everything that is sent. */
async function recorded(
  port: number,
  work: (url: string, sent: () => string) => Promise<void>,
): Promise<void> {
  const chunks: Buffer[] = [];
  const recorder = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    from.on("data", (chunk: Buffer) => chunks.push(chunk));
    from.pipe(to).pipe(from);
  });
  recorder.listen(0, "127.0.0.1");
  await once(recorder, "listening");
  const url = new URL(variable("POSTGRES_ADMIN_URL"));
  url.port = String((recorder.address() as AddressInfo).port);
  try {
    await work(url.href, () => Buffer.concat(chunks).toString("latin1"));
  } finally {
    recorder.close();
  }
}

/** The rows of the last statement. */
async function query(config: pg.ClientConfig, statements: readonly string[]) {
  const client = new pg.Client(config);
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  } finally {
    await client.end();
  }
}

async function roles(name: string) {
  return admin(
    `SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
            rolconnlimit, shobj_description(oid, 'pg_authid') AS comment
     FROM pg_roles WHERE rolname = '${name}'`,
  );
}

/** Runs `work` with POSTGRES_ADMIN_URL set to an administrator with only these rights. */
async function asLesserAdmin<T>(rights: string, work: () => Promise<T>): Promise<T> {
  const user = databaseName(uniqueSlug());
  await admin(`CREATE ROLE ${user} LOGIN ${rights} PASSWORD 'lesser-Passw0rd'`);
  // Only roles with their own right may connect to this database.
  await admin(`GRANT CONNECT ON DATABASE postgres TO ${user}`);
  const url = new URL(variable("POSTGRES_ADMIN_URL"));
  url.username = user;
  url.password = "lesser-Passw0rd";
  try {
    return await withVariables({ POSTGRES_ADMIN_URL: url.href }, work);
  } finally {
    const granted = await admin(
      `SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
       JOIN pg_roles u ON u.oid IN (m.member, m.grantor) WHERE u.rolname = '${user}'`,
    );
    for (const { rolname } of granted) {
      await admin(`REVOKE ${String(rolname)} FROM ${user} GRANTED BY ${user} CASCADE`).catch(
        () => 0,
      );
      await admin(`REVOKE ${String(rolname)} FROM ${user} CASCADE`);
    }
    await admin(`REVOKE CONNECT ON DATABASE postgres FROM ${user}`);
    await admin(`DROP ROLE ${user}`);
  }
}
