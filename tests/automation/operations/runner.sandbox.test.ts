import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { up } from "../../../automation/engine/stack.ts";
import type { Operation } from "../../../core/operation.ts";
import { startTimeOf } from "../../../automation/processes/processes.ts";
import { workerProcesses } from "../../../automation/worker/environment.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { Thing } from "../../support/engine-folder.ts";
import { OperationsStage, STEERED } from "../../support/operations-stage.ts";
import { platformStage } from "../../support/stage.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";

const isSlow = (event: object) =>
  "name" in event && event.name === "slow" && "event" in event && event.event === "resourceStarted";

describe("Runner", function () {
  this.timeout(400_000);
  let stage: OperationsStage;

  before(() => platformStage());
  beforeEach(async () => {
    stage = await OperationsStage.open();
  });
  afterEach(() => stage.close());

  /** The first attempt. */
  const attemptAt = async ({ id }: Operation) => {
    const [attempt] = await stage.test.admin(
      `SELECT runner, engines FROM operation_attempts WHERE operation_id = '${id}' ORDER BY attempt`,
    );
    return attempt as { runner: { id: string }; engines: number[] };
  };

  it("runs all kinds of operations, with events that have no gaps and no secrets", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const made = await stage.end(await stage.up(slug, "plain"));
    assert.deepEqual(made.outcome?.errors, []);
    assert.equal(made.state, "succeeded");
    assert.equal(made.outcome?.outputs["key"], "[secret]");
    const events = await stage.operations.events(made.id, 0, 1000);
    assert.deepEqual(
      events.map(({ number }) => number),
      events.map((_, index) => index + 1),
    );
    const states = events.flatMap(({ event }) => (event.event === "state" ? [event.state] : []));
    assert.deepEqual(states, ["queued", "running", "succeeded"]);

    const view = { kind: "preview", settings: {}, of: "up" } as const;
    assert.equal((await stage.end(await stage.submit(slug, view))).outcome?.changes.create, 0);
    assert.equal(
      (await stage.end(await stage.submit(slug, { kind: "refresh" }))).state,
      "succeeded",
    );
    const gone = await stage.end(await stage.submit(slug, { kind: "destroy" }));
    const logged = await stage.loggedEnd(gone);
    assert.deepEqual(gone.outcome?.errors, []);
    assert.deepEqual(gone.remaining, []);
    assert.deepEqual(await stage.test.admin("SELECT slug FROM projects"), []);
    await assert.rejects(stage.submit(slug, { kind: "destroy" }), { code: "RDEV_NOT_FOUND" });

    const dump = JSON.stringify([
      stage.log,
      await stage.test.admin("SELECT * FROM operations"),
      await stage.test.admin("SELECT * FROM operation_events"),
      await stage.test.admin("SELECT * FROM projects"),
      await stage.test.admin("SELECT * FROM audit_log"),
    ]);
    for (const name of ["GITEA_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "CITADEL_API_KEY"]) {
      assert.ok(!dump.includes(process.env[name]!), name);
    }
    assert.equal(logged["component"], "saga");
    assert.equal(logged["result"], "success");
    assert.equal(logged["project_id"], slug);
  });

  it("stops a cancelled operation, and the next one continues from there", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const slow = await stage.up(slug, "slow=4000");
    const waiting = await stage.up(slug, "plain");
    await stage.until(slow, isSlow);
    assert.equal((await stage.operations.cancel(waiting.id, "ada")).state, "cancelled");
    assert.equal((await stage.operations.cancel(slow.id, "ada")).state, "cancelling");
    assert.equal((await stage.end(slow)).state, "cancelled");
    const next = await stage.end(await stage.up(slug, "plain"));
    assert.equal(next.state, "succeeded");
    assert.equal(
      (await stage.end(await stage.submit(slug, { kind: "destroy" }))).state,
      "succeeded",
    );
  });

  it("keeps what a failed first up created, and deletes it if rollback was requested", async () => {
    await stage.runner();
    const kept = uniqueSlug();
    const failed = await stage.end(await stage.up(kept, "fail=RDEV_REFUSED: no"));
    assert.equal(failed.state, "failed");
    assert.deepEqual(
      failed.outcome?.errors.map(({ code, message }) => ({ code, message })),
      [{ code: "RDEV_REFUSED", message: "no" }],
    );
    const logged = await stage.loggedEnd(failed);
    assert.equal(logged["result"], "failure");
    assert.equal(logged["level"], "error");
    assert.equal((await stage.end(await stage.up(kept, "plain"))).state, "succeeded");
    assert.equal(
      (await stage.end(await stage.submit(kept, { kind: "destroy" }))).state,
      "succeeded",
    );

    const undone = uniqueSlug();
    const back = await stage.end(await stage.up(undone, "fail=no", "rollback"));
    assert.equal(back.state, "failed");
    assert.ok(back.outcome!.changes.delete > 0);
    assert.deepEqual(await stage.test.admin("SELECT slug FROM projects"), []);
    assert.equal((await stage.end(await stage.up(undone, "plain", "rollback"))).state, "succeeded");
    await stage.end(await stage.submit(undone, { kind: "destroy" }));
  });

  it("retries with a new worker after a kill, and breaks the lock that the first one left", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const slow = await stage.up(slug, "slow=3000");
    await stage.until(slow, isSlow);
    const { runner } = await attemptAt(slow);
    // Only the first worker: a spare one that dies when it is taken would cost another attempt.
    for (const pid of workerProcesses(`${runner.id}/1.`)) process.kill(pid, "SIGKILL");
    const ended = await stage.end(slow);
    assert.deepEqual(ended.outcome?.errors, []);
    assert.equal(ended.state, "succeeded");
    assert.equal(ended.attempts, 2);
    assert.equal(
      (await stage.end(await stage.submit(slug, { kind: "destroy" }))).state,
      "succeeded",
    );
  });

  it("ends all processes of a killed service, and another service continues its operation", async () => {
    const slug = uniqueSlug();
    const slow = await stage.up(slug, "slow=5000");
    const replica = await stage.replica(STEERED);
    await stage.until(slow, isSlow);
    const { runner, engines } = await attemptAt(slow);
    assert.ok(engines.length > 0);
    await stage.runner();
    replica.kill("SIGKILL");
    await once(replica, "exit");
    const ended = await stage.end(slow);
    assert.deepEqual(workerProcesses(runner.id), []);
    assert.deepEqual(ended.outcome?.errors, []);
    assert.equal(ended.attempts, 2);
    assert.equal(
      (await stage.end(await stage.submit(slug, { kind: "destroy" }))).state,
      "succeeded",
    );
  });

  it("ends the worker of a service that hangs, which has lost the operation when it wakes up", async () => {
    const slug = uniqueSlug();
    const slow = await stage.up(slug, "slow=12000"); // longer than the lease
    const replica = await stage.replica(STEERED);
    await stage.until(slow, isSlow);
    const { engines } = await attemptAt(slow);
    replica.kill("SIGSTOP");
    while (engines.some((pid) => startTimeOf(pid) !== undefined)) await sleep(100);
    assert.equal((await stage.operations.find(slow.id))?.attempts, 1, "nobody had it meanwhile");
    await stage.runner();
    await stage.until(slow, (event) => event.event === "state" && event.state === "queued");
    replica.kill("SIGCONT");
    const ended = await stage.end(slow);
    assert.deepEqual(ended.outcome?.errors, []);
    assert.equal(ended.attempts, 2);
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("returns operations to the queue on shutdown", async () => {
    const slug = uniqueSlug();
    const replica = await stage.replica(STEERED);
    const slow = await stage.up(slug, "slow=5000");
    await stage.until(slow, isSlow);
    replica.send("stop");
    await once(replica, "exit");
    assert.equal((await stage.operations.find(slow.id))?.state, "queued");
    await stage.runner();
    const ended = await stage.end(slow);
    assert.equal(ended.state, "succeeded");
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("kills the worker of a cancelled operation whose step does not end", async () => {
    await stage.runner({ cancelGrace: 4_000 }); // longer than the time between two renewals
    const slug = uniqueSlug();
    const stuck = await stage.up(slug, "slow=90000");
    await stage.until(stuck, isSlow);
    await stage.operations.cancel(stuck.id, "ada");
    const ended = await stage.end(stuck);
    assert.equal(ended.state, "cancelled");
    const { create } = ended.outcome!.changes;
    assert.equal(create, 0, "the worker was not killed: it reported what it had created");
    assert.equal(
      (await stage.end(await stage.submit(slug, { kind: "destroy" }))).state,
      "succeeded",
    );
  });

  it("fails on a lock whose holder lives, and breaks no foreign lock", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const { workDir } = await platformStage();
    const name = `${PLATFORM}.${slug}`;
    const program = () => Promise.resolve({ made: new Thing("slow", { ms: 6_000 }).urn });
    let begun: () => void = () => undefined;
    const isBegun = new Promise<void>((resolve) => (begun = resolve));
    const other = up(name, { workDir, program, onEvent: (event) => isSlow(event) && begun() });
    await isBegun;
    const refused = await stage.end(await stage.up(slug, "plain"));
    assert.equal(refused.state, "failed");
    assert.match(refused.outcome?.errors[0]?.message ?? "", /has been locked since/);
    assert.equal((await other).result, "succeeded");
    assert.equal((await stage.end(await stage.up(slug, "plain"))).state, "succeeded");
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("continues while the database is away for a moment", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const slow = await stage.up(slug, "slow=4000");
    await stage.until(slow, isSlow);
    await stage.test.cutOff();
    await sleep(5_000); // longer than the engine's work, shorter than the lease
    await stage.test.reconnect();
    const ended = await stage.end(slow);
    assert.deepEqual(ended.outcome?.errors, []);
    assert.equal(ended.attempts, 1);
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("ends an operation if the database is away for longer than the lease, and retries it", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    const slow = await stage.up(slug, "slow=12000");
    await stage.until(slow, isSlow);
    const { engines } = await attemptAt(slow);
    await stage.test.cutOff();
    while (engines.some((pid) => startTimeOf(pid) !== undefined)) await sleep(100);
    await stage.test.reconnect();
    const ended = await stage.end(slow);
    assert.deepEqual(ended.outcome?.errors, []);
    assert.equal(ended.attempts, 2);
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("deletes old operations except the newest of each kind", async () => {
    const slug = uniqueSlug();
    const [old, last] = [await stage.up(slug, "one"), await stage.up(slug, "two")];
    for (const { id } of [old, last]) await stage.operations.cancel(id, "ada");
    await stage.test.admin("UPDATE operations SET ended_at = now() - interval '91 days'");
    await stage.runner();
    while (await stage.operations.find(old.id)) await sleep(50);
    assert.ok(await stage.operations.find(last.id));
  });

  it("records errors with NUL or a lone surrogate, which PostgreSQL refuses", async () => {
    await stage.runner();
    for (const [name, said] of [
      ["nul", "a\ufffdb"],
      ["emoji", "xxx"],
    ] as const) {
      const slug = uniqueSlug();
      const ended = await stage.end(await stage.up(slug, name));
      assert.equal(ended.state, "failed");
      assert.ok(
        ended.outcome?.errors[0]?.message.includes(said),
        ended.outcome?.errors[0]?.message,
      );
      const events = await stage.operations.events(ended.id, 0, 1000);
      const texts = events.flatMap(({ event }) => ("message" in event ? [event.message] : []));
      assert.ok(texts.some((text) => text.includes(said)));
      await stage.end(await stage.submit(slug, { kind: "destroy" }));
    }
  });

  it("records RDEV_STORE if the database refuses an outcome for good", async () => {
    await stage.runner();
    const slug = uniqueSlug();
    await stage.test.admin(`
      CREATE FUNCTION refuse_outputs() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.outcome #>> '{outputs,name}' = 'refused' THEN
          RAISE EXCEPTION 'no such outputs' USING ERRCODE = 'data_exception';
        END IF;
        RETURN NEW;
      END $$`);
    await stage.test.admin(`
      CREATE TRIGGER refuse_outputs BEFORE UPDATE ON operations
      FOR EACH ROW EXECUTE FUNCTION refuse_outputs()`);
    const ended = await stage.end(await stage.up(slug, "refused"));
    assert.deepEqual([ended.state, ended.attempts], ["failed", 1]);
    const [error] = ended.outcome!.errors;
    assert.equal(error?.code, "RDEV_STORE");
    assert.match(error.message, /^The operation succeeded, but this .* no such outputs/);
    assert.equal((await stage.end(await stage.up(slug, "plain"))).state, "succeeded");
    await stage.end(await stage.submit(slug, { kind: "destroy" }));
  });

  it("fails an operation that uses too much memory", async () => {
    await stage.runner({ memoryMb: 700 });
    const greedy = await stage.end(await stage.up(uniqueSlug(), "memory=900"));
    assert.equal(greedy.state, "failed");
    assert.equal(greedy.attempts, 1);
    assert.match(greedy.outcome?.errors[0]?.message ?? "", /MiB of memory; the limit is 700/);
  });

  it("keeps what a destroy of the real program is asked to keep, and names it", async () => {
    await stage.replica();
    const slug = uniqueSlug();
    const made = await stage.end(await stage.up(slug, "A shop"));
    assert.deepEqual(made.outcome?.errors, []);
    assert.equal(made.outcome?.outputs["databaseUrl"], "[secret]");
    const destroy = { kind: "destroy", retainData: true, retainRepository: true } as const;
    const gone = await stage.end(await stage.submit(slug, destroy));
    assert.deepEqual(gone.outcome?.errors, []);
    const kept = gone.remaining.map(({ system, why }) => `${system} ${why}`);
    assert.deepEqual(new Set(kept), new Set(["gitea retained", "postgres retained"]));
    assert.deepEqual(await stage.test.admin("SELECT slug FROM projects"), []);
    // The next up adopts what was kept.
    assert.equal((await stage.end(await stage.up(slug, "A shop"))).state, "succeeded");
    const all = { kind: "destroy", retainData: false, retainRepository: false } as const;
    assert.deepEqual((await stage.end(await stage.submit(slug, all))).remaining, []);
  });
});
