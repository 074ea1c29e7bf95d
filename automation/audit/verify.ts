import type { AuditRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { FIRST_HASH, rowHash } from "./chain.ts";

const PAGE = 1_000;

export interface Verification {
  /** Rows that are right, from the first on. */
  readonly rows: number;
  /** The hash of the last of them: with it, a later check can show that none was cut off. */
  readonly hash: string;
  readonly broken?: { readonly id: number; readonly reason: string };
}

/** Checks the chain from its first row to its last, and stops at the first that is broken. */
export async function verifyChain(store: Store): Promise<Verification> {
  let rows = 0;
  let hash = FIRST_HASH;
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const page = await store.run((db) =>
      db
        .selectFrom("audit_log")
        .selectAll()
        .where("id", ">", last)
        .orderBy("id")
        .limit(PAGE)
        .execute(),
    );
    for (const row of page) {
      const reason = fault(row, hash);
      if (reason !== undefined) return { rows, hash, broken: { id: row.id, reason } };
      rows += 1;
      ({ id: last, hash } = row);
    }
    if (page.length < PAGE) return { rows, hash };
  }
}

function fault(row: AuditRow, before: string): string | undefined {
  if (row.prev_hash !== before) {
    return before === FIRST_HASH
      ? "it is not the first row of a chain: rows before it were removed"
      : "it does not follow the row before it: rows between them were removed, changed or added";
  }
  return row.hash === rowHash(row) ? undefined : "its content is not what was written";
}
