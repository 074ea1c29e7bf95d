import assert from "node:assert/strict";
import { hostname, userInfo } from "node:os";
import { listAudit } from "../../automation/audit/queries.ts";
import { Projects } from "../../automation/store/projects.ts";
import { up } from "../../automation/engine/stack.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { startCitadel } from "../../sandbox/citadel/server.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { makeEngineFolder, Thing, type EngineFolder } from "../support/engine-folder.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { withVariables } from "../support/variables.ts";
import { runCli } from "./run-cli.ts";

describe("rdev-infra up, refresh and destroy, recorded", function () {
  this.timeout(400_000);
  const stack = "staging.shop";
  let folder: EngineFolder;
  let test: TestStore;

  before(async () => {
    folder = await makeEngineFolder();
    const { workDir, variables } = folder;
    const settings = await sandboxPlatform(); // a destroy looks for leftovers on these servers
    // A running platform has this environment. Finding it proves that the key sees the organization.
    await new Citadel().groups.put("projects");
    const program = () => {
      new Thing("thing");
      return Promise.resolve({ settings });
    };
    for (const each of ["staging", stack]) {
      const { errors } = await withVariables(variables, () => up(each, { workDir, program }));
      assert.deepEqual(errors, []);
    }
  });
  after(() => folder.remove());
  beforeEach(async () => void (test = await createTestStore()));
  afterEach(() => test.drop());

  const run = (args: readonly string[], variables: Record<string, string | undefined> = {}) =>
    runCli([...args, "--work-dir", folder.workDir], {
      variables: { ...folder.variables, DATABASE_URL: test.url, ...variables },
    });
  const rows = () => listAudit(test.store, { limit: 100 });

  it("record who did what, so that the plan's queries find it in Citadel", async () => {
    const refused = await run(["up", stack, "--yes", "--config", "colour=red"]);
    assert.equal(refused.code, 2);
    const refreshed = await run(["refresh", stack, "--actor", "ada@example.test"]);
    assert.deepEqual([refreshed.code, refreshed.stderr], [0, ""]);
    const projects = new Projects(test.store);
    await projects.put({ slug: "shop", platform: "staging", name: "Shop", citadelTenantId: null });
    assert.equal((await run(["destroy", stack, "--yes"])).code, 0);
    assert.notEqual(await projects.find("shop"), undefined);
    assert.equal((await run(["destroy", stack, "--yes", "--remove"])).code, 0);
    assert.equal(await projects.find("shop"), undefined);

    const self = `${userInfo().username}@${hostname()}`;
    assert.deepEqual(
      (await rows()).map(({ action, actor, result }) => [action, actor, result]),
      [
        ["project.create", self, "started"],
        ["project.create", self, "failure"],
        ["project.refresh", "ada@example.test", "started"],
        ["project.refresh", "ada@example.test", "success"],
        ["project.destroy", self, "started"],
        ["project.destroy", self, "success"],
        ["project.destroy", self, "started"],
        ["project.destroy", self, "success"],
      ],
    );
    assert.deepEqual((await rows())[1]?.details["config"], { colour: "red" });

    const standIn = await startCitadel({ organization: "orchard9" });
    const citadel = new Citadel(standIn);
    const environment = { slug: "rdev-platform", name: "rdev", organization: "orchard9" };
    const { id: tenant } = await citadel.environments.create({ ...environment, metadata: {} });
    const shipped = await runCli(["audit", "ship", "staging", "--once"], {
      variables: {
        DATABASE_URL: test.url,
        CITADEL_TENANT_ID: undefined,
        CITADEL_URL: standIn.url,
        CITADEL_API_KEY: standIn.apiKey,
      },
    });
    assert.equal(shipped.stdout, "8 shipped, 0 refused\n");
    for (const [cpl, range, messages] of [
      [
        "action:project.create",
        "7d",
        ["project.create shop failure", "project.create shop started"],
      ],
      ["level:error", "1h", ["project.create shop failure"]],
      ["component:infra result:failure", "24h", ["project.create shop failure"]],
    ] as const) {
      const { entries } = await citadel.query({ tenant }, cpl, { range });
      assert.deepEqual(
        entries.map(({ message }) => message),
        messages,
        cpl,
      );
    }
    const { total } = await citadel.query({ tenant }, "project_id:shop", { range: "24h" });
    assert.equal(total, 8);
    await standIn.close();
  });

  it("do nothing if the database cannot be reached", async () => {
    const down = Object.assign(new URL(test.url), { port: "1" }).href;
    for (const args of [
      ["destroy", stack, "--yes"],
      ["refresh", stack],
      ["up", stack, "--yes"],
    ]) {
      const { code, stderr } = await run(args, { DATABASE_URL: down });
      assert.equal(code, 1);
      assert.match(stderr, /^RDEV_UNREACHABLE: Nothing was done\. .*DATABASE_URL/);
    }
  });

  it("report a malformed DATABASE_URL before they start", async () => {
    const { code, stdout, stderr } = await run(["refresh", stack], { DATABASE_URL: "mysql://x" });
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /^RDEV_CONNECTION: [\s\S]*DATABASE_URL is not a URL/);
  });

  it("run without DATABASE_URL and record nothing", async () => {
    const { stderr } = await run(["refresh", "staging.other"], { DATABASE_URL: undefined });
    assert.match(stderr, /^RDEV_ENGINE: The stack "staging\.other" does not exist/);
    assert.deepEqual(await rows(), []);
  });
});
