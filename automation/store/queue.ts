import { fromKysely, PgBoss } from "pg-boss";
import type { Store } from "./store.ts";

/** pg-boss' tables have a schema of their own. */
export const QUEUE_SCHEMA = "pgboss";
/** The queue of all operations. A job has its operation's id; its key is the stack's name. */
export const QUEUE = "operations";

/** Without a word from its runner for so long, in s, a job is taken up again. */
const HEARTBEAT_S = 60;

/** The queue, over the store's connections. One that watches gives back jobs whose runner is silent. */
export function openQueue(store: Store, { watch = false } = {}): PgBoss {
  const boss = new PgBoss({
    db: {
      executeSql: (text, values) => store.run((db) => fromKysely(db).executeSql(text, values)),
    },
    schema: QUEUE_SCHEMA,
    ...{ migrate: false, schedule: false, registerInstance: false },
    supervise: watch,
    ...{ superviseIntervalSeconds: 5, monitorIntervalSeconds: 5 },
    // For the tables' owner.
    ...{ reindex: false, monitorVacuum: false },
  });
  // What fails rejects as well, or is tried again; without a listener it would end the process.
  boss.on("error", () => undefined);
  return boss;
}

/** Brings pg-boss' schema to what this version needs, and makes the queue. As the tables' owner. */
export async function installQueue(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: ownerUrl,
    schema: QUEUE_SCHEMA,
    max: 2,
    supervise: false,
    schedule: false,
    registerInstance: false,
  });
  // What fails rejects as well; without a listener it would end the process.
  boss.on("error", () => undefined);
  try {
    await boss.start();
    const options = {
      heartbeatSeconds: HEARTBEAT_S,
      // Attempts are counted by the operation. A job that failed for good would hold up its stack.
      retryLimit: 1_000_000,
      expireInSeconds: 12 * 3600,
      retentionSeconds: 365 * 24 * 3600,
      // The operation is the record.
      deleteAfterSeconds: 3600,
    };
    // Of one key one at a time, in order.
    await boss.createQueue(QUEUE, { policy: "key_strict_fifo", ...options });
    await boss.updateQueue(QUEUE, options);
  } finally {
    await boss.stop();
  }
}
