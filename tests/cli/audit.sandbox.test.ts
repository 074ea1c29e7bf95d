import assert from "node:assert/strict";
import { MultiWriter } from "../../automation/audit/log.ts";
import { startIngestRecorder } from "../support/ingest-recorder.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { runCli } from "./run-cli.ts";

describe("rdev-infra audit", () => {
  let test: TestStore;
  const run = (args: string[], variables: Record<string, string | undefined> = {}) =>
    runCli(args, { variables: { DATABASE_URL: test.url, ...variables } });

  before(async () => {
    test = await createTestStore({ migrated: false });
  });
  after(() => test.drop());

  it("names the variable of a missing database, and the command that migrates it", async () => {
    const unset = await run(["audit", "list"], { DATABASE_URL: undefined });
    assert.equal(unset.code, 2);
    assert.match(unset.stderr, /DATABASE_URL is missing/);
    const unmigrated = await run(["audit", "verify"]);
    assert.equal(unmigrated.code, 1);
    assert.match(unmigrated.stderr, /^RDEV_STORE: .*rdev-infra store migrate/);
    // The refusal comes before anything is sent: it could not be marked as shipped.
    const unshipped = await run(["audit", "ship", "staging", "--once"]);
    assert.equal(unshipped.code, 1);
    assert.match(unshipped.stderr, /^RDEV_STORE: .*rdev-infra store migrate/);
  });

  it("migrates as the owner and grants rights to the role of DATABASE_URL", async () => {
    const { code, stdout, stderr } = await run(["store", "migrate"], {
      DATABASE_OWNER_URL: test.ownerUrl,
    });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^migrated: 001-projects\nmigrated: 002-citadel-tenant-id\n/);
  });

  it("lists, ships and verifies events, and names the first broken row", async () => {
    const log = new MultiWriter(test.store);
    const event = { action: "project.create", actor: "ada", component: "infra" };
    await log.record({ ...event, projectId: "shop", result: "started" });
    await log.record({ ...event, projectId: "shop", result: "success", durationMs: 2_000 });
    await log.record({ ...event, projectId: "blog", result: "started" });

    const { stdout } = await run(["audit", "list", "--project", "shop", "--last", "1h"]);
    assert.match(stdout, /^\S+Z {2}1 {2}project\.create shop: started, by ada\n/);
    assert.match(stdout, /\n\S+Z {2}2 {2}project\.create shop: success in 2\.0 s, by ada\n$/);
    const json = await run(["audit", "list", "--limit", "1", "--json"]);
    assert.equal((JSON.parse(json.stdout) as { project_id: string }).project_id, "blog");

    const citadel = await startIngestRecorder();
    const waiting = await run(["audit", "outbox"]);
    assert.match(waiting.stdout, /^3 waiting, the oldest for .* s; 0 refused\n$/);
    const down = { ...citadel.variables, CITADEL_URL: "http://127.0.0.1:1" };
    const failed = await run(["audit", "ship", "staging", "--once"], down);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^RDEV_UNREACHABLE: /);
    await test.admin("UPDATE audit_outbox SET next_at = now()");
    const shipped = await run(["audit", "ship", "staging", "--once"], citadel.variables);
    assert.deepEqual([shipped.code, shipped.stdout], [0, "3 shipped, 0 refused\n"]);
    assert.deepEqual([...citadel.events.keys()], [1, 2, 3]);

    const unfinished = await run(["audit", "list", "--unfinished"]);
    assert.match(unfinished.stdout, /^\S+Z {2}1 .*started, by ada\n\S+Z {2}3 .*started, by ada\n$/);

    const whole = await run(["audit", "verify"]);
    assert.equal(whole.code, 0);
    assert.match(
      whole.stdout,
      /^3 events, and the chain is intact\. Its last hash: [0-9a-f]{64}\n$/,
    );
    const verifyCopy = ["audit", "verify", "--citadel", "staging"];
    const direct = { ...citadel.variables, CITADEL_URL: citadel.directUrl };
    const same = await run(verifyCopy, direct);
    assert.match(same.stdout, /\nCitadel has 3 of the last 7d, and they are the same\.\n$/);

    const emptied = await startIngestRecorder();
    const elsewhere = { ...emptied.variables, CITADEL_URL: emptied.directUrl };
    const soon = await run(verifyCopy, elsewhere);
    assert.equal(soon.code, 0, soon.stderr);
    assert.match(soon.stdout, /\n3 were shipped less than a minute ago and are not there yet\.\n$/);
    await test.admin(
      "SET session_replication_role = replica; " +
        "UPDATE audit_shipped SET shipped_at = now() - interval '1 hour'",
    );
    const gone = await run(verifyCopy, elsewhere);
    assert.equal(gone.code, 1);
    const { CITADEL_TENANT_ID: shippedTo } = citadel.variables;
    assert.match(
      gone.stderr,
      /^RDEV_AUDIT: Citadel lacks 3 events that were shipped to it\. The first/,
    );
    assert.ok(gone.stderr.includes(`event 1, shipped to the environment ${shippedTo} at 20`));
    assert.ok(!gone.stdout.includes("the same"), gone.stdout);
    const compared = await run([...verifyCopy, "--json"], elsewhere);
    assert.equal(compared.code, 1);
    const { missing } = JSON.parse(compared.stdout) as { missing: Record<string, unknown> };
    assert.deepEqual([missing["count"], missing["first"], missing["tenant"]], [3, 1, shippedTo]);
    await emptied.close();

    await test.admin("SET session_replication_role = replica; DELETE FROM audit_log WHERE id = 3");
    assert.equal((await run(["audit", "verify"])).code, 0);
    const cut = await run(verifyCopy, direct);
    assert.equal(cut.code, 1);
    assert.match(cut.stderr, /^RDEV_AUDIT: event 3 is broken: .* audit log lacks it/);
    await citadel.close();
    await test.admin(
      "SET session_replication_role = replica; UPDATE audit_log SET actor = 'eve' WHERE id = 2",
    );
    const broken = await run(["audit", "verify"]);
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /^RDEV_AUDIT: event 2 is broken: its content does not match/);
  });

  it("refuses a malformed time or number", async () => {
    for (const args of [
      ["list", "--last", "soon"],
      ["list", "--limit", "0"],
      ["verify", "--last", "1 week"],
    ]) {
      assert.equal((await run(["audit", ...args])).code, 2);
    }
  });
});
