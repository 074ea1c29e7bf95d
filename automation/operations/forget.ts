import { sql } from "kysely";
import type { Store } from "../store/store.ts";

/** How long operations are kept that have ended, with their events and their Idempotency-Keys. */
const KEEP = "90 days";

/** Deletes old operations, but for the newest of each kind and project: they say how it stands. */
export async function forgetOld(store: Store): Promise<void> {
  await store.run((db) =>
    sql`
      DELETE FROM operations AS old
      WHERE old.ended_at < now() - ${KEEP}::interval
        AND EXISTS (
          SELECT FROM operations AS later
          WHERE later.slug = old.slug AND later.kind = old.kind AND later.id > old.id
        )`.execute(db),
  );
}
