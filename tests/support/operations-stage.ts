import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { NumberedEvent, Operation } from "../../core/operation.ts";
import { Operations } from "../../automation/operations/operations.ts";
import type { Submission } from "../../automation/operations/submission.ts";
import { Runner, type RunnerOptions } from "../../automation/operations/runner.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { createTestStore, type TestStore } from "./test-store.ts";

export const STEERED = fileURLToPath(new URL("steered-program.ts", import.meta.url));
const REPLICA = fileURLToPath(new URL("runner-process.ts", import.meta.url));

/** A runner's log, as lines of JSON. */
export type Log = Record<string, unknown>[];

/** A database with operations, and its runners, which stop with it. */
export class OperationsStage {
  readonly test: TestStore;
  readonly operations: Operations;
  readonly log: Log = [];
  readonly #runners: Runner[] = [];
  readonly #replicas: ChildProcess[] = [];

  private constructor(test: TestStore) {
    this.test = test;
    this.operations = new Operations(test.store);
  }

  static async open(): Promise<OperationsStage> {
    const test = await createTestStore();
    // The minimum of pg-boss, so that tests do not wait for a minute.
    await test.admin("UPDATE pgboss.queue SET heartbeat_seconds = 10");
    return new OperationsStage(test);
  }

  /**
   * Starts a runner in this process, for one operation at a time. It prepares no plugins, because few
   * programs of tests use any.
   */
  async runner(options: Partial<RunnerOptions> = {}): Promise<Runner> {
    const write = (level: string) => (fields: object, text: string) =>
      void this.log.push({ level, ...fields, text });
    const log = { info: write("info"), warn: write("warn"), error: write("error") };
    const { store } = this.test;
    const small = { concurrency: 1, keepsPlugins: false, program: STEERED };
    const runner = new Runner({ store, log, ...small, ...options });
    this.#runners.push(runner);
    await runner.start();
    return runner;
  }

  /** Starts a runner in its own process. */
  async replica(program?: string): Promise<ChildProcess> {
    const child = fork(REPLICA, [], {
      env: {
        ...process.env,
        DATABASE_URL: this.test.url,
        ...(program && { RUNNER_PROGRAM: program }),
      },
    });
    this.#replicas.push(child);
    await once(child, "message");
    return child;
  }

  async submit(slug: string, request: Submission["request"]): Promise<Operation> {
    const { operation } = await this.operations.submit({
      platform: PLATFORM,
      slug,
      request,
      actor: "ada",
      ifBusy: "wait",
    });
    return operation;
  }

  up(slug: string, name: string, onFailure: "keep" | "rollback" = "keep"): Promise<Operation> {
    return this.submit(slug, { kind: "up", settings: { name }, onFailure });
  }

  /** The operation's events up to the first match. */
  async until(
    { id }: Operation,
    found: (event: NumberedEvent["event"]) => boolean,
  ): Promise<NumberedEvent[]> {
    const events: NumberedEvent[] = [];
    for await (const event of this.operations.follow(id, 0, AbortSignal.timeout(90_000))) {
      events.push(event);
      if (found(event.event)) return events;
    }
    assert.fail(`it did not come, but ${JSON.stringify(events.at(-1))}`);
  }

  async end({ id }: Operation): Promise<Operation> {
    for await (const _ of this.operations.follow(id, 0, AbortSignal.timeout(90_000)));
    const operation = await this.operations.find(id);
    assert.ok(operation?.endedAt, "it has not ended");
    return operation;
  }

  /** The log lines of the operation's end. They are written after the end is in the database. */
  async loggedEnd({ id }: Operation): Promise<Log[number]> {
    let line: Log[number] | undefined;
    await until(() => {
      line = this.log.find((each) => each["operation_id"] === id && "result" in each);
      assert.ok(line, `nothing in ${JSON.stringify(this.log)}`);
    });
    return line!;
  }

  async close(): Promise<void> {
    for (const replica of this.#replicas) replica.kill("SIGKILL");
    await Promise.all(this.#runners.map((runner) => runner.stop({ deadline: 0 })));
    await this.operations.close();
    await this.test.drop();
  }
}
