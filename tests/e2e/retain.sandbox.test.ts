import assert from "node:assert/strict";
import { databaseName } from "../../core/slug.ts";
import { applicationEnvironment, json } from "../../sandbox/proofs/project.ts";
import { refusal } from "../../sandbox/proofs/proofs.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { projects, succeeded, type Project } from "../support/stage.ts";
import { variable } from "../support/variables.ts";

describe("a project that retains its data and its repository", function () {
  this.timeout(400_000);
  const project = projects();

  it("keeps both, locked, and adopts both when it is made again", async () => {
    const one = await project();
    const role = databaseName(one.slug);
    const retain = { retainData: "true", retainRepository: "true" };
    succeeded(await one.up({ config: retain }));
    const seeded = await commits(one);
    assert.equal(seeded.length, 1);
    const first = await databaseUrl(one);
    await queryOnce(first, "CREATE TABLE kept (message text)");
    await queryOnce(first, "INSERT INTO kept VALUES ('hello')");

    succeeded(await one.destroy());
    assert.deepEqual((await one.onServers()).sort(), [
      `gitea: repository ${one.slug}`,
      `postgres: database ${role}`,
      `postgres: role ${role}`,
    ]);
    assert.equal(await isArchived(one), true);
    assert.match(
      await refusal(queryOnce(first, "SELECT 1"), "a login"),
      /password authentication failed/,
    );
    const asAdmin = Object.assign(new URL(variable("POSTGRES_ADMIN_URL")), { pathname: role });
    assert.deepEqual(await queryOnce(asAdmin.href, "SELECT message FROM kept"), [
      { message: "hello" },
    ]);

    succeeded(await one.up({ config: { retainData: "false", retainRepository: "false" } }));
    assert.equal(await isArchived(one), false);
    assert.deepEqual(await commits(one), seeded);
    const second = await databaseUrl(one);
    assert.notEqual(second, first);
    assert.deepEqual(await queryOnce(second, "SELECT message FROM kept"), [{ message: "hello" }]);

    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});

async function databaseUrl(project: Project): Promise<string> {
  return (await applicationEnvironment(project.stage()))["DATABASE_URL"] ?? "";
}

async function commits(project: Project): Promise<string[]> {
  const found = await getRepository<{ sha: string }[]>(project, "/commits");
  return found.map(({ sha }) => sha);
}

async function isArchived(project: Project): Promise<boolean> {
  return (await getRepository<{ archived: boolean }>(project, "")).archived;
}

function getRepository<T>({ slug, place }: Project, path: string): Promise<T> {
  const url = `${variable("GITEA_URL")}/api/v1/repos/${place.organization}/${slug}${path}`;
  return json<T>(url, { authorization: `token ${variable("GITEA_TOKEN")}` });
}
