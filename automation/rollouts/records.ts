import { hash } from "node:crypto";
import type { Updateable } from "kysely";
import { compareText } from "../../core/previews/changes.ts";
import { losesData } from "../../core/previews/plan.ts";
import type { AuditLog } from "../audit/log.ts";
import { jsonText, type RolloutProjectRow, type RolloutRow, type Schema } from "../store/schema.ts";
import type { StoreTransaction } from "../store/store.ts";
import type { Ended, RolloutEnd } from "./decide.ts";
import { previewOfEnd } from "./report.ts";
import { addEvents, changeProjects, changeRollout } from "./tables.ts";

// What the steps of a rollout write, each in the transaction of its step.

/** The actor of what rollouts do by themselves. Names of keys contain no colon. */
export const ACTOR = "rdev-infra:rollout";

/** How the operations of projects ended. Projects that are held back are in the audit trail. */
export async function recordEnds(
  transaction: StoreTransaction,
  audit: AuditLog,
  { id, platform }: RolloutRow,
  ended: readonly Ended[],
): Promise<void> {
  await changeProjects(
    transaction,
    id,
    ended.map(({ slug, state, reason, operation }) => {
      const plan = state === "planned" ? operation?.outcome?.plan : undefined;
      const isBad = state === "failed" || state === "held";
      return {
        slug,
        state,
        ...(reason && { reason: jsonText(reason) }),
        ...(plan && {
          plan: jsonText(plan),
          fingerprint: plan.fingerprint,
          loses_data: losesData(plan),
        }),
        ...(isBad && { result: jsonText(previewOfEnd(platform, slug, reason, operation)) }),
      };
    }),
  );
  for (const { slug, state, reason } of ended) {
    if (state !== "held") continue;
    await recordStep(transaction, audit, id, "hold", "failure", { ...reason }, slug);
  }
}

/** The plan of all projects waits for an approval. */
export async function recordPlan(
  transaction: StoreTransaction,
  rollout: RolloutRow,
): Promise<void> {
  const plan = await fingerprintOf(transaction, rollout);
  await changeRollout(transaction, rollout, { state: "planned", plan });
}

/** The plan of all projects, with everything that decides how it is carried out. */
async function fingerprintOf(
  transaction: StoreTransaction,
  { id, version, request }: RolloutRow,
): Promise<string> {
  const rows: Pick<RolloutProjectRow, "slug" | "wave" | "fingerprint">[] = await transaction
    .selectFrom("rollout_projects")
    .select(["slug", "wave", "fingerprint"])
    .where("rollout_id", "=", id)
    .execute();
  const sorted = rows
    .toSorted((a, b) => compareText(a.slug, b.slug))
    .map(({ slug, wave, fingerprint }) => [slug, wave, fingerprint]);
  return hash("sha256", JSON.stringify([version, request, sorted]));
}

/** The operations of a wave have ended. */
export async function recordWaveEnd(
  transaction: StoreTransaction,
  rollout: RolloutRow,
  more: Updateable<Schema["rollouts"]> = {},
): Promise<void> {
  await changeRollout(transaction, rollout, { wave_ended_at: new Date(), ...more });
  const { id, wave } = rollout;
  await addEvents(transaction, id, [{ event: "wave", wave, state: "ended" }]);
}

/** The next wave begins. */
export async function recordNextWave(
  transaction: StoreTransaction,
  audit: AuditLog,
  rollout: RolloutRow,
  wave: number,
): Promise<void> {
  const { id } = rollout;
  await changeRollout(transaction, rollout, { wave, wave_ended_at: null });
  await addEvents(transaction, id, [{ event: "wave", wave, state: "begun" }]);
  await recordStep(transaction, audit, id, "wave", "started", { wave });
}

/** The rollout has ended. Projects that it did not reach are skipped. */
export async function recordEnd(
  transaction: StoreTransaction,
  audit: AuditLog,
  rollout: RolloutRow,
  { state, reason }: RolloutEnd,
): Promise<void> {
  const { id } = rollout;
  const left = await transaction
    .selectFrom("rollout_projects")
    .select("slug")
    .where("rollout_id", "=", id)
    .where("state", "in", ["waiting", "planned"])
    .execute();
  const message = "the rollout ended before its turn";
  await changeProjects(
    transaction,
    id,
    left.map(({ slug }) => ({
      slug,
      state: "skipped" as const,
      reason: jsonText({ code: "not-begun", message }),
    })),
  );
  await changeRollout(transaction, rollout, {
    state,
    ...(reason !== undefined && { reason }),
    conductor: null,
  });
  const result = state === "succeeded" ? "success" : "failure";
  await recordStep(transaction, audit, id, "end", result, { state, reason });
}

/** Must be the transaction's last write, because it holds the audit log's lock until the end. */
function recordStep(
  transaction: StoreTransaction,
  audit: AuditLog,
  id: string,
  action: "hold" | "wave" | "end",
  result: "started" | "success" | "failure",
  details: Record<string, unknown>,
  slug?: string,
): Promise<void> {
  return audit.recordIn(transaction, {
    action: `rollout.${action}`,
    ...(slug !== undefined && { projectId: slug }),
    actor: ACTOR,
    component: "saga",
    result,
    details: { rollout: id, ...details },
  });
}
