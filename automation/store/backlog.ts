import { sql } from "kysely";
import type { Store } from "./store.ts";

/** A table of things to send, its column of their time, and its column that is set when one is not sent again. */
interface Outbox {
  readonly table: string;
  readonly at: string;
  readonly ended: string;
}

export interface Backlog {
  /** How many wait to be sent. */
  readonly waiting: number;
  /** The age of the oldest one; 0 if none waits. */
  readonly oldestSeconds: number;
  /** How many are not sent again. */
  readonly ended: number;
}

/** Counts the rows of an outbox. */
export async function backlogOf(store: Store, { table, at, ended }: Outbox): Promise<Backlog> {
  const end = sql.ref(ended);
  const { rows } = await store.run((db) =>
    sql<Backlog>`
      SELECT count(*) FILTER (WHERE ${end} IS NULL) AS waiting,
             count(*) FILTER (WHERE ${end} IS NOT NULL) AS ended,
             greatest(0, coalesce(
               extract(epoch FROM now() - min(${sql.ref(at)}) FILTER (WHERE ${end} IS NULL)), 0
             ))::float AS "oldestSeconds"
      FROM ${sql.table(table)}`.execute(db),
  );
  return rows[0]!;
}
