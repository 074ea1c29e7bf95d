import { finalRolloutState } from "../../core/rollout.ts";
import { announce, MAX_NAMED } from "../notifications/outbox.ts";
import type { RolloutRow } from "../store/schema.ts";
import type { StoreTransaction } from "../store/store.ts";

/** Tells receivers that a rollout waits for a person, or how it ended. Other states are not announced. */
export async function announceRollout(
  transaction: StoreTransaction,
  { id, state, reason }: Pick<RolloutRow, "id" | "state" | "reason">,
): Promise<void> {
  if (state === "planned" || state === "paused") {
    return announce(transaction, {
      kind: "rollout.waiting",
      rollout: id,
      reason: reason ?? (state === "planned" ? "its plan needs an approval" : "it is paused"),
    });
  }
  const final = finalRolloutState.safeParse(state);
  if (!final.success) return;
  const rows = await transaction
    .selectFrom("rollout_projects")
    .select(["slug", "state", "reason"])
    .where("rollout_id", "=", id)
    .orderBy("slug")
    .execute();
  const named = (wanted: "failed" | "held") =>
    rows
      .filter((row) => row.state === wanted)
      .slice(0, MAX_NAMED)
      .map((row) => ({ slug: row.slug, message: row.reason?.message ?? "" }));
  await announce(transaction, {
    kind: "rollout.ended",
    rollout: id,
    result: final.data,
    ...(reason !== null && { reason }),
    succeeded: rows.filter((row) => row.state === "succeeded").length,
    failed: named("failed"),
    held: named("held"),
  });
}
