import type { DriftFinding, FixPolicy } from "../../core/drift.ts";

/** A look that found nothing. */
export const NOTHING: DriftFinding = { changes: [], fixableBy: "nothing" };

type Change = DriftFinding["changes"][number];

/** A look that found one changed Deployment, `shop`. */
export function changedShop(fixableBy: FixPolicy, by: Change["by"] = []): DriftFinding {
  const change: Change = {
    op: "update",
    urn: "urn:pulumi:s::p::kubernetes:apps/v1:Deployment::shop",
    type: "kubernetes:apps/v1:Deployment",
    name: "shop",
    properties: [],
    moreProperties: 0,
    by,
  };
  return { changes: [change], fixableBy };
}
