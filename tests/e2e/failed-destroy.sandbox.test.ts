import assert from "node:assert/strict";
import pg from "pg";
import { databaseName } from "../../core/slug.ts";
import { applicationEnvironment } from "../../sandbox/proofs/project.ts";
import { asAdmin } from "../support/project-databases.ts";
import { projects, succeeded, unchanged } from "../support/stage.ts";

describe("a destroy that failed halfway", function () {
  this.timeout(400_000);
  const project = projects();

  it("names what is left, and the next up recreates what it deleted", async () => {
    const one = await project();
    succeeded(await one.up());
    const role = databaseName(one.slug);
    const view = `public.${role}_view`;
    await asAdmin([
      `CREATE SCHEMA ${role} AUTHORIZATION ${role}`,
      `SET ROLE ${role}`,
      `CREATE TABLE ${role}.kept (id int)`,
      "RESET ROLE",
      `CREATE VIEW ${view} AS SELECT * FROM ${role}.kept`,
    ]);
    try {
      const destroyed = await one.destroy();
      assert.equal(destroyed.result, "failed");
      assert.match(JSON.stringify(destroyed.errors), new RegExp(`${role}_view depends on table`));
      assert.deepEqual(await one.onServers(), [`postgres: role ${role}`]);

      const planned = succeeded(await one.preview()).changes;
      assert.ok(planned.create > 0, "the preview creates what the destroy deleted");
      assert.ok(planned.update > 0, "and updates what it left");
      succeeded(await one.up());
      const url = (await applicationEnvironment(one.stage()))["DATABASE_URL"] ?? "";
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query("CREATE TABLE notes (text text)");
      await client.end();
      unchanged(await one.up());
    } finally {
      await asAdmin([`DROP VIEW ${view}`]);
    }
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});
