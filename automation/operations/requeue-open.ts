import type { PgBoss } from "pg-boss";
import type { OperationRow } from "../store/schema.ts";
import type { StoreTransaction } from "../store/store.ts";
import { sendJob } from "./submission.ts";
import { changeState, OPEN_STATES } from "./tables.ts";

/**
 * Gives every open operation a new job, in the order of their submission, for a database whose queue was
 * lost. A running operation waits again, like one whose runner died, and a cancelled one ends when a
 * runner takes it. Returns the operations as they were. `boss` must be started.
 */
export async function requeueOpen(
  transaction: StoreTransaction,
  boss: PgBoss,
): Promise<OperationRow[]> {
  const open = await transaction
    .selectFrom("operations")
    .selectAll()
    .where("state", "in", OPEN_STATES)
    .orderBy("id")
    .execute();
  for (const row of open) {
    if (row.state === "running") await changeState(transaction, row.id, { state: "queued" });
    await sendJob(transaction, boss, row);
  }
  return open;
}
