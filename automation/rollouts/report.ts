import { groupStacks } from "../../core/previews/group.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { makeReport } from "../../core/previews/report.ts";
import type { Operation } from "../../core/operation.ts";
import type { RolloutReason, RolloutReport } from "../../core/rollout.ts";
import { projectStackName } from "../../core/stack-name.ts";
import type { RolloutProjectRow } from "../store/schema.ts";

/** Groups the projects of a rollout by their plans, or by how they ended. */
export function reportOf(
  rows: readonly RolloutProjectRow[],
  platform: string,
  of: RolloutReport["of"],
): RolloutReport {
  const stacks = rows.flatMap((row) => previewOf(row, projectStackName(platform, row.slug)) ?? []);
  const { verdict, totals } = makeReport({ stacks, selection: "rollout", durationMs: 0 });
  return { of, verdict, totals, ...groupStacks({ stacks }) };
}

/** Undefined for a project without a plan, and for one that the rollout did not reach. */
function previewOf(
  { state, reason, plan, result }: RolloutProjectRow,
  stack: string,
): StackPreview | undefined {
  if (result) return result;
  if (!plan || state === "skipped") return undefined;
  const { fingerprint: _, ...content } = plan;
  const common = { stack, durationMs: 0, ...content };
  // Held back by the approval, so its operation has no result.
  if (state === "held") return { ...common, result: "failed", errors: errorsOf(reason) };
  return { ...common, result: "succeeded", errors: [] };
}

function errorsOf(reason: RolloutReason | null | undefined): StackPreview["errors"] {
  return reason ? [{ message: `${reason.code}: ${reason.message}` }] : [];
}

/** A project that failed or was held back, with the plan that it would have had then. */
export function previewOfEnd(
  platform: string,
  slug: string,
  reason: RolloutReason | undefined,
  operation: Operation | undefined,
): StackPreview {
  const { plan, errors = [], durationMs = 0 } = operation?.outcome ?? {};
  return {
    stack: projectStackName(platform, slug),
    result: "failed",
    durationMs,
    unchanged: plan?.unchanged ?? 0,
    changes: plan?.changes ?? [],
    findings: plan?.findings ?? [],
    errors: errors.length > 0 ? errors : errorsOf(reason),
  };
}
