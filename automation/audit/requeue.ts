import { sql } from "kysely";
import type { Store } from "../store/store.ts";

/** Puts what was kept aside back among what waits. Answers with how many events. */
export async function requeueRefused(store: Store): Promise<number> {
  const { numUpdatedRows } = await store.run((db) =>
    db
      .updateTable("audit_outbox")
      .set({ refused_at: null, reason: null, attempts: 0, next_at: sql<Date>`'-infinity'` })
      .where("refused_at", "is not", null)
      .executeTakeFirst(),
  );
  return Number(numUpdatedRows);
}
