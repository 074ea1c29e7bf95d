import assert from "node:assert/strict";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../automation/store/embedded.ts";
import { migrate } from "../../automation/store/migrate.ts";
import { Postgres } from "../../providers/postgres/client.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { rightsStatements } from "../support/rights.ts";

describe("the SQL in deploy/rights", function () {
  this.timeout(120_000);
  let folder: string;
  let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>;

  const as = (role: string, database = "postgres") => {
    const url = new URL(server.ownerUrl);
    [url.username, url.password, url.pathname] = [role, "planted", `/${database}`];
    return url.href;
  };
  const refused = async (url: string, statement: string) => {
    await assert.rejects(queryOnce(url, statement), { code: "42501" }, statement);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-rights-"));
    await chmod(folder, 0o711);
    server = await startEmbeddedPostgres(join(folder, "data"));
    const administrator = new URL(server.ownerUrl);
    administrator.pathname = "/postgres";
    for (const statement of [
      ...(await rightsStatements("projects.sql")),
      ...(await rightsStatements("service.sql")),
      ...(await rightsStatements("states.sql")),
      ...["admin", "owner", "service", "states"].map(
        (role) => `ALTER ROLE least_${role} PASSWORD 'planted'`,
      ),
    ]) {
      await queryOnce(administrator.href, statement);
    }
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("is enough for a project's database, from its creation to its end, and keeps it apart", async () => {
    const postgres = await Postgres.connect({ url: as("least_admin") });
    const mark = "managed by rdev-infra: staging/a, 0123456789abcdef";
    try {
      for (const role of ["project_a", "project_b"]) {
        await postgres.createRole(role, mark);
        await postgres.createDatabase(role);
        await postgres.setDatabase(role, mark);
        await postgres.setRole(role, { password: "planted", connectionLimit: 5 });
        const open = await postgres.closeOtherDatabases(role);
        assert.ok(!open.includes("postgres") && !open.includes("least_infra"), open.join());
      }
      await queryOnce(as("project_a", "project_a"), "CREATE TABLE t (a int)");
      for (const database of ["postgres", "least_infra", "project_b"]) {
        await refused(as("project_a", database), "SELECT 1");
      }
      await postgres.lockOut("project_b", mark);
      for (const role of ["project_a", "project_b"]) {
        await postgres.drop(role);
        assert.deepEqual(await postgres.find(role), { role: undefined, database: undefined });
      }
    } finally {
      await postgres.close();
    }
  });

  it("permits the projects' administrator nothing more: no superuser, no foreign role or database", async () => {
    for (const statement of [
      "ALTER ROLE least_admin SUPERUSER",
      "ALTER ROLE least_owner PASSWORD 'planted'",
      "GRANT least_owner TO least_admin",
      "DROP DATABASE least_infra",
      "SELECT pg_read_file('/etc/passwd')",
    ]) {
      await refused(as("least_admin"), statement);
    }
    await refused(as("least_admin", "least_infra"), "SELECT 1");
  });

  it("is enough for the migrations, and permits the service only to append to the audit log", async () => {
    const ownerUrl = as("least_owner", "least_infra");
    assert.ok((await migrate({ ownerUrl, serviceRole: "least_service" })).length > 0);
    for (const statement of [
      "DELETE FROM audit_log",
      "UPDATE audit_log SET actor = 'planted'",
      "DROP TABLE audit_log",
      "CREATE ROLE planted",
    ]) {
      await refused(as("least_service", "least_infra"), statement);
    }
    await queryOnce(as("least_service", "least_infra"), "SELECT count(*) FROM audit_log");
  });

  it("gives the stacks' states a database that no other role enters", async () => {
    await queryOnce(as("least_states", "least_states"), "CREATE TABLE states (key text)");
    for (const role of ["least_admin", "least_owner", "least_service"]) {
      await refused(as(role, "least_states"), "SELECT 1");
    }
    await refused(as("least_states", "least_infra"), "SELECT 1");
  });
});
