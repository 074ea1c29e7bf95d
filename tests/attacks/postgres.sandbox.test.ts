import assert from "node:assert/strict";
import pg from "pg";
import { leftovers } from "../../providers/postgres/leftovers.ts";
import { ownerBefore } from "../../core/ownership.ts";
import { provider } from "../../providers/postgres/database.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { fails, rejected } from "../support/errors.ts";
import { testOwner } from "../support/owner.ts";
import { asAdmin, projectDatabases, urlOf } from "../support/project-databases.ts";
import { variable, withVariables } from "../support/variables.ts";

const CLOSED = /permission denied for database/;
const NEVER = new AbortController().signal;
const NOT_OWNER = /must be (the )?owner of database/;

describe("a tenant on the shared PostgreSQL", () => {
  const { make, makeBefore, makeOther } = projectDatabases();

  it("can connect only to its own database, not to rdev-infra's, Pulumi's or the server's", async () => {
    const [service, backend] = [await makeOther(), await makeOther()];
    const url = (database: string) => urlOf("service", database, "service-Passw0rd");
    const variables = { DATABASE_URL: url(service), PULUMI_BACKEND_URL: url(backend) };
    const one = await withVariables(variables, make);
    const neighbour = await make();
    for (const database of ["postgres", "template1", service, backend, neighbour.name]) {
      for (const statement of [
        "NOTIFY rdev_operations, 'x'",
        "LISTEN rdev_operations",
        "SELECT pg_advisory_lock(7274001)",
      ]) {
        await rejected(one.run([statement], database), CLOSED);
      }
    }
    await rejected(one.run(["SELECT 1"], "template0"), /not currently accepting connections/);
    assert.deepEqual(await one.run(["SELECT 1 AS one"]), [{ one: 1 }]);
  });

  it("cannot reach other databases' notifications and locks from its own", async () => {
    const one = await make();
    const service = await makeOther();
    const listener = await connectedAs(service);
    const received: string[] = [];
    listener.on("notification", ({ payload = "" }) => received.push(payload));
    try {
      await listener.query("LISTEN rdev_operations");
      const held = await one.connect();
      await held.query("NOTIFY rdev_operations, 'from the tenant'");
      await held.query("SELECT pg_advisory_lock(7274001)");
      const { rows } = await listener.query("SELECT pg_try_advisory_lock(7274001) AS got");
      assert.deepEqual(rows, [{ got: true }]);
      await listener.query("NOTIFY rdev_operations, 'own'");
      assert.deepEqual(received, ["own"]);
    } finally {
      await listener.end();
    }
  });

  it("is disconnected from another database by the next up", async () => {
    const one = await makeBefore();
    await asAdmin([`GRANT CONNECT ON DATABASE postgres TO ${one.name}`]);
    const stray = await one.connect("postgres");
    const ended = new Promise<void>((resolve) => stray.on("end", resolve));
    await asAdmin([`REVOKE CONNECT ON DATABASE postgres FROM ${one.name}`]);
    await provider.update(one.name, one.outs, one.inputs());
    await ended;
    await rejected(one.run(["SELECT 1"], "postgres"), CLOSED);
  });

  it("does not lock out others: existing roles get CONNECT before PUBLIC loses it", async () => {
    const service = await makeOther();
    const guest = `${service}_guest`;
    const late = `${service}_late`;
    try {
      await asAdmin([`CREATE ROLE ${guest} LOGIN PASSWORD 'guest-Passw0rd'`]);
      await withVariables({ DATABASE_URL: urlOf("service", service) }, make);
      await asAdmin([`CREATE ROLE ${late} LOGIN PASSWORD 'guest-Passw0rd'`]);
      await connectedAs(service, urlOf(guest, service, "guest-Passw0rd")).then((c) => c.end());
      const lateUrl = urlOf(late, service, "guest-Passw0rd");
      await rejected(connectedAs(service, lateUrl), CLOSED);
    } finally {
      await asAdmin([`DROP DATABASE ${service}`]);
      for (const role of [guest, late]) {
        await asAdmin([`DROP OWNED BY ${role}`, `DROP ROLE ${role}`]);
      }
    }
  });

  it("can connect to a foreign database that is open to all, which a warning names", async () => {
    const foreign = await makeOther();
    const text = await warnings(async () => {
      await make();
    });
    assert.match(text, new RegExp(`may connect to .*${foreign}`));
    const [database] = await asAdmin([
      `SELECT has_database_privilege('public', '${foreign}', 'CONNECT') AS open`,
    ]);
    assert.deepEqual(database, { open: true });
  });

  it("cannot comment, limit or drop its database, make it a template, or admit others", async () => {
    const one = await make();
    const neighbour = await make();
    const { name } = one;
    for (const statement of [
      `COMMENT ON DATABASE ${name} IS 'mine'`,
      `ALTER DATABASE ${name} IS_TEMPLATE true`,
      `ALTER DATABASE ${name} CONNECTION LIMIT 0`,
      `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`,
      `ALTER DATABASE ${name} SET search_path = x`,
      `ALTER DATABASE ${name} OWNER TO ${name}`,
      `DROP DATABASE ${name}`,
    ]) {
      await rejected(one.run([statement]), NOT_OWNER);
    }
    await rejected(one.run([`COMMENT ON ROLE ${name} IS 'mine'`]), /permission denied|must have/);
    // PostgreSQL only warns about a GRANT without the right to grant, and grants nothing.
    await one.run([`GRANT CONNECT ON DATABASE ${name} TO ${neighbour.name}`]);
    await rejected(neighbour.run(["SELECT 1"], name), CLOSED);
  });

  it("can do in its database what applications need", async () => {
    const one = await make();
    const rows = await one.run([
      "CREATE SCHEMA jobs",
      "CREATE TABLE jobs.queue (id int)",
      "CREATE EXTENSION pgcrypto",
      "CREATE TEMPORARY TABLE scratch (id int)",
      "DROP SCHEMA public CASCADE",
      "CREATE SCHEMA public",
      "CREATE TABLE notes AS SELECT 'kept' AS text",
      "SELECT text FROM notes",
    ]);
    assert.deepEqual(rows, [{ text: "kept" }]);
  });

  describe("with a database of an older version", () => {
    it("keeps its data, while the next up gives the database to the administrator", async () => {
      const one = await makeBefore();
      await one.run([
        "CREATE TABLE notes AS SELECT 'kept' AS text",
        "CREATE SCHEMA jobs",
        `ALTER DATABASE ${one.name} SET work_mem = '8MB'`,
        `COMMENT ON DATABASE ${one.name} IS 'managed by rdev-infra: other/project, ffffffffffffffff'`,
      ]);
      await fails(provider.create(one.inputs()), "RDEV_NOT_OURS");
      const { changes } = await provider.diff(one.name, one.outs, one.inputs());
      assert.equal(changes, true);

      const { outs } = await provider.update(one.name, one.outs, one.inputs());
      assert.deepEqual((await provider.read(one.name, outs)).props, outs);
      const [database] = await asAdmin([
        `SELECT pg_get_userbyid(datdba) AS owner, shobj_description(oid, 'pg_database') AS comment
         FROM pg_database WHERE datname = '${one.name}'`,
      ]);
      assert.equal(database?.["owner"], new URL(variable("POSTGRES_ADMIN_URL")).username);
      assert.match(String(database["comment"]), new RegExp(`staging/${one.slug}`));
      const rows = await one.run([
        "INSERT INTO notes VALUES ('written after')",
        "CREATE TABLE jobs.queue (id int)",
        "CREATE SCHEMA later",
        "SELECT text, current_setting('work_mem') AS memory FROM notes",
      ]);
      assert.deepEqual(rows, [
        { text: "kept", memory: "8MB" },
        { text: "written after", memory: "8MB" },
      ]);
      await rejected(one.run([`ALTER DATABASE ${one.name} CONNECTION LIMIT 0`]), NOT_OWNER);
    });

    it("cannot hide it from the leftover probe with a comment", async () => {
      const one = await makeBefore();
      const owner = ownerBefore(one.slug);
      const find = async () =>
        leftovers.find({ slug: one.slug, owner, settings: await sandboxPlatform() }, NEVER);
      const left = [
        { what: `role ${one.name}`, why: "left" },
        { what: `database ${one.name}`, why: "left" },
      ];
      assert.deepEqual(await find(), left);
      await one.run([`COMMENT ON DATABASE ${one.name} IS 'the payroll'`]);
      assert.deepEqual(await find(), left);
    });

    it("cannot lock out the administrator before that up, nor admit a neighbour after it", async () => {
      const one = await makeBefore();
      const neighbour = await make();
      await one.run([
        `GRANT CONNECT ON DATABASE ${one.name} TO PUBLIC, ${neighbour.name}`,
        `ALTER DATABASE ${one.name} SET default_transaction_read_only = on`,
        `ALTER DATABASE ${one.name} SET role = '${one.name}'`,
        `ALTER DATABASE ${one.name} IS_TEMPLATE true CONNECTION LIMIT 0`,
      ]);
      await provider.update(one.name, one.outs, one.inputs());
      await rejected(neighbour.run(["SELECT 1"], one.name), CLOSED);
      assert.deepEqual(await one.run(["SELECT 1 AS one"]), [{ one: 1 }]);
    });

    it("cannot block its destroy with template, limit, comment, other objects or sessions", async () => {
      const one = await makeBefore();
      await asAdmin([`GRANT CONNECT, CREATE ON DATABASE postgres TO ${one.name}`]);
      await one.run(
        ["SELECT lo_create(0)", "CREATE SCHEMA squat", "CREATE TABLE squat.t (id int)"],
        "postgres",
      );
      await one.run([
        `COMMENT ON DATABASE ${one.name} IS 'not yours'`,
        `ALTER DATABASE ${one.name} IS_TEMPLATE true CONNECTION LIMIT 0`,
      ]);
      const stray = await one.connect("postgres");
      const ended = new Promise<void>((resolve) => stray.on("end", resolve));
      await provider.delete(one.name, one.outs);
      await ended;
      assert.deepEqual(await countsOf(one.name), { role: 0, database: 0 });
      const [left] = await asAdmin(["SELECT to_regnamespace('squat') AS squat"]);
      assert.deepEqual(left, { squat: null });
    });
  });

  it("loses its login first, and the error names what cannot be dropped", async () => {
    const one = await make();
    await asAdmin([`GRANT CONNECT, CREATE ON DATABASE postgres TO ${one.name}`]);
    await one.run([`CREATE SCHEMA ${one.name}`, `CREATE TABLE ${one.name}.t (id int)`], "postgres");
    const view = `public.${one.name}_view`;
    await asAdmin([`CREATE VIEW ${view} AS SELECT * FROM ${one.name}.t`]);
    try {
      const error = await fails(provider.delete(one.name, one.outs), "RDEV_REFUSED");
      assert.match(error.message, /in database postgres: .*_view depends on table/s);
      await rejected(one.run(["SELECT 1"], "postgres"), /password authentication failed/);
      assert.deepEqual(await countsOf(one.name), { role: 1, database: 0 });
    } finally {
      await asAdmin([`DROP VIEW ${view}`]);
    }
    await provider.delete(one.name, one.outs);
    assert.deepEqual(await countsOf(one.name), { role: 0, database: 0 });
  });

  it("does not get a foreign database whose comment looks like a mark", async () => {
    const former = await make();
    const { name } = former;
    await provider.delete(name, former.outs);
    const maker = `${name}_maker`;
    await asAdmin([`CREATE ROLE ${maker} LOGIN CREATEDB PASSWORD 'maker-Passw0rd'`]);
    try {
      await asAdmin([
        `CREATE DATABASE ${name} OWNER ${maker}`,
        `SET ROLE ${maker}`,
        `COMMENT ON DATABASE ${name} IS 'managed by rdev-infra: staging/${former.slug}, ${testOwner("").stack}'`,
      ]);
      await fails(provider.create(former.inputs()), "RDEV_NOT_OURS");
      await provider.delete(name, former.outs);
      assert.deepEqual(await countsOf(name), { role: 0, database: 1 });
    } finally {
      await asAdmin([`DROP DATABASE ${name}`, `DROP ROLE ${maker}`]);
    }
  });
});

async function connectedAs(database: string, url?: string) {
  const own = new URL(variable("POSTGRES_ADMIN_URL"));
  own.pathname = database;
  const client = new pg.Client({ connectionString: url ?? own.href });
  await client.connect();
  return client;
}

async function countsOf(name: string) {
  const [found] = await asAdmin([
    `SELECT (SELECT count(*)::int FROM pg_roles WHERE rolname = '${name}') AS role,
            (SELECT count(*)::int FROM pg_database WHERE datname = '${name}') AS database`,
  ]);
  return found;
}

/** The warnings that are printed while `work` runs. */
async function warnings(work: () => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const { error } = console;
  console.error = (text: string) => void lines.push(text);
  try {
    await work();
  } finally {
    console.error = error;
  }
  return lines.join("\n");
}
