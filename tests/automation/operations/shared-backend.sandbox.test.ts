import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runPulumi } from "../../../automation/engine/command.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { queryOnce } from "../../../sandbox/store-database.ts";
import { OperationsStage, STEERED } from "../../support/operations-stage.ts";
import { platformStage } from "../../support/stage.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";
import { setVariables, variable } from "../../support/variables.ts";

describe("two replicas with one backend in PostgreSQL", function () {
  this.timeout(400_000);
  const database = `pulumi_${randomBytes(6).toString("hex")}`;
  let own: string;
  let stage: OperationsStage;

  before(async () => {
    const { workDir } = await platformStage();
    own = variable("PULUMI_BACKEND_URL");
    const platform = await runPulumi(["stack", "export", "--stack", PLATFORM], { workDir });
    const server = variable("POSTGRES_ADMIN_URL");
    await queryOnce(server, `CREATE DATABASE ${database}`);
    const url = Object.assign(new URL(server), {
      pathname: `/${database}`,
      search: "sslmode=disable",
    });
    setVariables({ PULUMI_BACKEND_URL: url.href });
    // `runPulumi` writes no debug logs: plain `pulumi` would log the backend's password.
    const file = join(workDir, `${database}.json`);
    await writeFile(file, platform, { mode: 0o600 });
    await runPulumi(["stack", "init", "--no-select", PLATFORM], { workDir });
    await runPulumi(["stack", "import", "--stack", PLATFORM, "--file", file], { workDir });
    await rm(file);
    stage = await OperationsStage.open();
  });
  after(async () => {
    await stage.close();
    setVariables({ PULUMI_BACKEND_URL: own });
    await queryOnce(variable("POSTGRES_ADMIN_URL"), `DROP DATABASE ${database} WITH (FORCE)`);
  });

  it("share the operations, and one continues those of the other after a kill", async () => {
    const [slug, other] = [uniqueSlug(), uniqueSlug()];
    const slow = await stage.up(slug, "slow=5000");
    const dying = await stage.replica(STEERED);
    await stage.until(slow, (event) => "name" in event && event.name === "slow");
    dying.kill("SIGKILL");
    await once(dying, "exit");
    await stage.replica(STEERED);
    const quick = await stage.up(other, "plain");
    const [ended, beside] = [await stage.end(slow), await stage.end(quick)];
    assert.deepEqual([ended.outcome?.errors, beside.outcome?.errors], [[], []]);
    assert.deepEqual([ended.attempts, beside.attempts], [2, 1]);
    for (const each of [slug, other]) {
      const gone = await stage.end(await stage.submit(each, { kind: "destroy" }));
      assert.deepEqual(gone.outcome?.errors, []);
    }
  });
});
