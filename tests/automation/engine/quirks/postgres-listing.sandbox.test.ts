import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backendStacks } from "../../../../automation/engine/backend-stacks.ts";
import { runPulumi } from "../../../../automation/engine/command.ts";
import { makeWorkFolder } from "../../../../automation/engine/folders.ts";
import { queryOnce } from "../../../../sandbox/store-database.ts";
import { testVariables, variable } from "../../../support/variables.ts";

/** In ms. A listing takes less than a second on a quiet machine. */
const HANGS_AFTER = 5_000;

describe("the stacks of a backend in PostgreSQL, with one processor", function () {
  this.timeout(120_000);
  const set = testVariables();
  const database = `pulumi_${randomBytes(6).toString("hex")}`;
  const names = ["staging", "staging.first", "staging.second", "staging.third"];
  let folder: string;
  let workDir: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-listing-"));
    workDir = await makeWorkFolder(join(folder, "work"));
    const url = new URL(variable("POSTGRES_ADMIN_URL"));
    await queryOnce(url.href, `CREATE DATABASE ${database}`);
    [url.pathname, url.search] = [`/${database}`, "sslmode=disable"];
    set({
      PULUMI_BACKEND_URL: url.href,
      PULUMI_CONFIG_PASSPHRASE: "only for tests",
      PULUMI_HOME: join(folder, "home"),
      GOMAXPROCS: "1",
    });
    for (const name of names) await runPulumi(["stack", "init", "--no-select", name], { workDir });
  });
  afterEach(async () => {
    await queryOnce(variable("POSTGRES_ADMIN_URL"), `DROP DATABASE ${database} WITH (FORCE)`);
    await rm(folder, { recursive: true });
  });

  it("are listed", async () => {
    const found = await backendStacks(workDir);
    assert.deepEqual(
      found.map(({ stack }) => stack),
      names,
    );
  });

  it("are not listed by Pulumi alone, which hangs (contract)", async () => {
    const signal = new AbortController();
    const listing = runPulumi(["stack", "ls"], { workDir, force: signal.signal });
    const timer = setTimeout(() => signal.abort(), HANGS_AFTER);
    await assert.rejects(
      listing.finally(() => clearTimeout(timer)),
      { killed: true },
    );
  });
});
