import { randomUUID } from "node:crypto";
import { PostgresAuditLog } from "../../automation/audit/log.ts";
import { tick } from "../../automation/fleet/loop.ts";
import type { FleetTask } from "../../automation/fleet/task.ts";
import { Attempt } from "../../automation/operations/attempt.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { thisRunner } from "../../automation/operations/runner-identity.ts";
import { migrate } from "../../automation/store/migrate.ts";
import { openQueue, QUEUE } from "../../automation/store/queue.ts";
import { Store } from "../../automation/store/store.ts";
import type { JobResult } from "../../automation/worker/messages.ts";
import { NO_CHANGES, type OperationRequest } from "../../core/operation.ts";
import { embeddedStore } from "./embedded-store.ts";

export const PLATFORM = "staging";

/** What a worker reports at the end of an operation. */
export function done(more: Partial<JobResult> = {}): JobResult {
  return {
    type: "done",
    outcome: { result: "succeeded", changes: NO_CHANGES, outputs: {}, durationMs: 1, errors: [] },
    remaining: [],
    gone: false,
    mayRollBack: false,
    killed: false,
    ...more,
  };
}

/** A database with projects and operations, and a runner that the test plays. */
export async function fleetStage() {
  const test = await embeddedStore();
  await migrate(test);
  const store = new Store({ url: test.url });
  const operations = new Operations(store, { audit: new PostgresAuditLog(store) });
  const boss = openQueue(store);
  await boss.start();
  return {
    store,
    operations,
    admin: test.admin,
    audit: new PostgresAuditLog(store),

    /** A project that was up with these settings. */
    async project(slug: string, settings: object = {}): Promise<void> {
      await test.admin(`
        INSERT INTO projects (slug, platform, name, settings, outputs)
        VALUES ('${slug}', '${PLATFORM}', '${slug}', '${JSON.stringify(settings)}', '{"slug": "x"}')`);
    },

    /** Calls the task as the service does. Rejects with what the task rejects with. */
    async tick(task: FleetTask): Promise<void> {
      const errors: unknown[] = [];
      await tick(store, [task], (_name, error) => errors.push(error));
      if (errors.length > 0) throw errors[0];
    },

    submit(slug: string, request: OperationRequest, actor = "ada") {
      const submission = { platform: PLATFORM, slug, request, actor, ifBusy: "wait" } as const;
      return operations.submit(submission).then(({ operation }) => operation);
    },

    /** Begins the next operations of the queue, as a runner does. */
    async take(count = 100): Promise<Attempt[]> {
      const jobs = await boss.fetch(QUEUE, { batchSize: count });
      const begun: Attempt[] = [];
      for (const { id, retryCount } of jobs) {
        const runner = { ...thisRunner(), id: randomUUID() };
        const attempt = await Attempt.begin({ store, boss, runner }, { id, retryCount });
        if (attempt) begun.push(attempt);
      }
      return begun;
    },

    /** The requests of all operations, oldest first. */
    async requests(): Promise<(OperationRequest & { slug: string; state: string })[]> {
      const rows = await test.admin("SELECT slug, state, request FROM operations ORDER BY id");
      return rows.map(({ slug, state, request }) => ({
        ...(request as object),
        slug,
        state,
      })) as never;
    },

    async events(): Promise<Record<string, unknown>[]> {
      const rows = await test.admin("SELECT event FROM notifications ORDER BY id");
      return rows.map(({ event }) => event as Record<string, unknown>);
    },

    async empty(): Promise<void> {
      await test.admin(
        "TRUNCATE projects, operations, drift_runs, drift, lifetimes, notifications CASCADE; " +
          "DELETE FROM pgboss.job",
      );
    },

    async close(): Promise<void> {
      await operations.close();
      await boss.stop({ graceful: false });
      await store.close();
      await test.close();
    },
  };
}

export type FleetStage = Awaited<ReturnType<typeof fleetStage>>;
