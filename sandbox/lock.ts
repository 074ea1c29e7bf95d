import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pRetry from "p-retry";

const POLL_MS = 200;
const SQLITE_BUSY = 5;

/**
 * Runs `work` while this process holds the lock file `path`; waits while another process holds it.
 *
 * The lock is SQLite's own lock on an empty database. The kernel releases it when its holder dies, so
 * a lock is never stale.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  onWait: () => void = () => undefined,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    await pRetry(() => database.exec("BEGIN EXCLUSIVE"), {
      retries: Infinity,
      minTimeout: POLL_MS,
      factor: 1,
      shouldRetry: ({ error }) => isBusy(error),
      onFailedAttempt: ({ error, attemptNumber }) => {
        if (attemptNumber === 1 && isBusy(error)) onWait();
      },
    });
    return await work();
  } finally {
    database.close();
  }
}

function isBusy(error: Error & { readonly errcode?: number }): boolean {
  return error.errcode === SQLITE_BUSY;
}
