import assert from "node:assert/strict";
import {
  AppsV1Api,
  PatchStrategy,
  setHeaderOptions,
  type V1Deployment,
} from "@kubernetes/client-node";
import { DriftRuns } from "../../automation/drift/runs.ts";
import { DriftRecords } from "../../automation/drift/table.ts";
import { tick } from "../../automation/fleet/loop.ts";
import type { FleetTask } from "../../automation/fleet/task.ts";
import { Lifetimes } from "../../automation/lifetime/lifetimes.ts";
import { auditLog } from "../../automation/audit/log.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { Runner } from "../../automation/operations/runner.ts";
import { driftSettings, type FixPolicy } from "../../core/drift.ts";
import type { OperationRequest } from "../../core/operation.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { deleteRecord } from "../support/delete-record.ts";
import { projects, type Project } from "../support/stage.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";

const HOUR = 3_600_000;

describe("the service, over the life of a project", function () {
  this.timeout(400_000);
  const project = projects();
  let one: Project;
  let test: TestStore;
  let operations: Operations;
  let runner: Runner;

  before(async () => {
    one = await project();
    test = await createTestStore();
    operations = new Operations(test.store);
    const quiet = () => undefined;
    const log = { info: quiet, warn: quiet, error: quiet };
    runner = new Runner({ store: test.store, log });
    await runner.start();
  });
  after(async () => {
    await runner.stop({ deadline: 0 });
    await operations.close();
    await test.drop();
  });

  const ended = async (id: string) => {
    for await (const _ of operations.follow(id, 0, AbortSignal.timeout(200_000)));
    const operation = await operations.find(id);
    assert.equal(operation?.state, "succeeded", JSON.stringify(operation?.outcome?.errors));
    return operation;
  };
  const run = async (request: OperationRequest) => {
    const { slug } = one;
    const submission = { platform: PLATFORM, slug, request, actor: "ada", ifBusy: "wait" } as const;
    return ended((await operations.submit(submission)).operation.id);
  };
  const up = (settings: ProjectChanges) => run({ kind: "up", settings, onFailure: "keep" });
  /** Calls the task, and waits for all operations. */
  const step = async (task: FleetTask) => {
    await tick(test.store, [task], (_name, error) => {
      throw error;
    });
    const open = await test.admin(
      "SELECT id FROM operations WHERE state IN ('queued', 'running') ORDER BY id",
    );
    for (const { id } of open) await ended(String(id));
  };
  const apps = () => kubeConfig(one.place).makeApiClient(AppsV1Api);
  const where = () => ({ namespace: one.slug, name: one.slug });
  const deployment = (): Promise<V1Deployment> => apps().readNamespacedDeployment(where());
  const replicas = async () => (await deployment()).spec?.replicas;
  const announced = async () =>
    (await test.admin("SELECT event FROM notifications ORDER BY id")).map(({ event }) => event);

  it("stops and starts it, and later ups leave it so", async () => {
    await up({ name: one.name, sizes: { replicas: 2 } });
    assert.equal(await replicas(), 2);
    await up({ stopped: true });
    assert.equal(await replicas(), 0);
    await up({ sizes: { cpuLimit: "600m" } });
    assert.equal(await replicas(), 0);
    await up({ stopped: false });
    assert.equal(await replicas(), 2);
  });

  it("finds what people change by hand, tells who it was, and takes it back", async () => {
    const runs = (fix: FixPolicy) =>
      new DriftRuns({
        store: test.store,
        platform: PLATFORM,
        operations,
        settings: async () => driftSettings.parse({ fix }),
      });
    const look = async () => {
      const task = runs("nothing");
      await task.start("ada");
      await step(task);
      await step(task);
      const found = await new DriftRecords(test.store).find(one.slug);
      assert.ok(found);
      return found;
    };
    const untouched = await look();
    assert.deepEqual(
      [untouched.state, untouched.error, untouched.changes],
      ["clean", undefined, []],
    );

    await apps().patchNamespacedDeployment(
      { ...where(), body: { spec: { replicas: 1 } }, fieldManager: "kubectl-edit" },
      setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
    );
    await deleteRecord(one.place);
    const drifted = await look();
    assert.deepEqual(
      [drifted.state, drifted.fixableBy],
      ["drifted", "repairs"],
      JSON.stringify(drifted),
    );
    const [gone, changed, ...more] = drifted.changes.toSorted((a, b) => (a.op < b.op ? -1 : 1));
    assert.deepEqual(more, []);
    assert.deepEqual([gone?.op, gone?.by], ["delete", []]);
    assert.match(gone?.type ?? "", /dns/i);
    assert.deepEqual(
      changed?.properties.map(({ path, old, new: now }) => [path, old, now]),
      [["spec.replicas", "2", "1"]],
    );
    assert.deepEqual(
      changed?.by.map(({ manager }) => manager),
      ["kubectl-edit"],
    );
    const [event] = (await announced()) as { kind: string; differing: { slug: string }[] }[];
    assert.equal(event?.kind, "drift.found");
    assert.deepEqual(
      event.differing.map(({ slug }) => slug),
      [one.slug],
    );

    await step(runs("updates"));
    assert.equal(await replicas(), 1, "a creation needs the policy repairs");
    await step(runs("repairs"));
    assert.equal(await replicas(), 2);
    const fixed = await look();
    assert.deepEqual([fixed.state, fixed.changes], ["clean", []]);
  });

  it("ends it after its time to live: a notice, a stop, and a destroy after the grace", async () => {
    const end = Date.now() + HOUR;
    await up({ expiresAt: new Date(end).toISOString() });
    let now = end - HOUR;
    const lifetimes = new Lifetimes({
      store: test.store,
      platform: PLATFORM,
      operations,
      audit: auditLog(test.store),
      settings: async () => ({ noticeHours: 1, graceHours: 1 }),
      now: () => now,
    });
    await step(lifetimes);
    assert.equal(await replicas(), 2);
    now = end;
    await step(lifetimes);
    assert.equal(await replicas(), 0);
    now = end + HOUR;
    await step(lifetimes);
    assert.deepEqual(await one.onServers(), []);
    assert.deepEqual(await test.admin("SELECT slug FROM projects"), []);
    const steps = (await announced()).map((event) => (event as { step?: string }).step);
    assert.deepEqual(steps.slice(-3), ["notice", "stopped", "deleting"]);
  });
});
