import { fromKysely, PgBoss } from "pg-boss";
import type { Store } from "./store.ts";

/** The PostgreSQL schema of pg-boss' tables. */
export const QUEUE_SCHEMA = "pgboss";
/** The queue of all operations. A job has its operation's id; its singleton key is the stack's name. */
export const QUEUE = "operations";

/** In seconds. A job whose runner sends no heartbeat for so long is given to another runner. */
const HEARTBEAT_S = 60;

/**
 * Opens the queue on the store's connections. With `watch` it also requeues jobs whose runner sends no
 * heartbeat.
 */
export function openQueue(store: Store, { watch = false } = {}): PgBoss {
  const boss = new PgBoss({
    db: {
      executeSql: (text, values) => store.run((db) => fromKysely(db).executeSql(text, values)),
    },
    schema: QUEUE_SCHEMA,
    migrate: false,
    schedule: false,
    registerInstance: false,
    supervise: watch,
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    // Only the tables' owner may do these.
    reindex: false,
    monitorVacuum: false,
  });
  // Without a listener an error event would end the process. The failed call rejects or is retried.
  boss.on("error", () => undefined);
  return boss;
}

/** Migrates pg-boss' schema and creates the queue. Connects as the tables' owner. */
export async function installQueue(ownerUrl: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: ownerUrl,
    schema: QUEUE_SCHEMA,
    max: 2,
    supervise: false,
    schedule: false,
    registerInstance: false,
  });
  // Without a listener an error event would end the process. The failed call rejects as well.
  boss.on("error", () => undefined);
  try {
    await boss.start();
    const options = {
      heartbeatSeconds: HEARTBEAT_S,
      // The operation counts its attempts. A job that pg-boss failed for good would block its stack.
      retryLimit: 1_000_000,
      expireInSeconds: 12 * 3600,
      retentionSeconds: 365 * 24 * 3600,
      // The operation itself is kept.
      deleteAfterSeconds: 3600,
    };
    // One job per key at a time, in order.
    await boss.createQueue(QUEUE, { policy: "key_strict_fifo", ...options });
    await boss.updateQueue(QUEUE, options);
  } finally {
    await boss.stop();
  }
}
