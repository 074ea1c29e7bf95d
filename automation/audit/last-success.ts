import type { Store } from "../store/store.ts";

/** The last of these actions that succeeded, on a project or, without one, on the platform. */
export async function lastSuccess(
  store: Store,
  actions: readonly string[],
  projectId?: string,
): Promise<string | undefined> {
  const row = await store.run((db) =>
    db
      .selectFrom("audit_log")
      .select("action")
      .where("project_id", projectId === undefined ? "is" : "=", projectId ?? null)
      .where("action", "in", actions)
      .where("result", "=", "success")
      .orderBy("id", "desc")
      .limit(1)
      .executeTakeFirst(),
  );
  return row?.action;
}
