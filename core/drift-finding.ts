import { type DriftChange, type DriftFinding, type FixPolicy } from "./drift.ts";
import { stackChanges, realSteps } from "./previews/changes.ts";
import type { Change, PropertyChange } from "./previews/model.ts";
import { holdsData } from "./previews/policies.ts";
import { serverChanges } from "./previews/property-changes.ts";
import { safeText } from "./previews/sensitive.ts";
import { nameOf, type Step } from "./previews/step.ts";

/** The look-up that finds fields of a Deployment that others hold. Its result changes the Deployment. */
export const FOREIGN_FIELDS = "pulumi-nodejs:dynamic/kubernetes:ForeignFields";
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";

type Found = Omit<DriftChange, "by">;

/** A finding without those who made the changes. */
interface Finding extends Omit<DriftFinding, "changes"> {
  readonly changes: readonly Found[];
  /** How many objects the program would change, for whatever reason. */
  readonly planned: number;
}

/**
 * What others changed, from a preview of an `up` that reads the servers first. `refreshed` is what the
 * servers say, `planned` what the program would then do. A difference that the program would leave, such as
 * an image that CI set or the number of pods of an autoscaler, is no drift. A change for which no server
 * differs is none either: it comes from the program or the settings.
 */
export function driftOf(
  refreshed: readonly Step[],
  planned: readonly Step[],
  secrets: readonly string[],
): Finding {
  const { changes: plan } = stackChanges(planned, secrets);
  const onServer = new Map(
    realSteps(refreshed).map((step) => [safeText(step.urn, secrets), step] as const),
  );
  const found = plan.flatMap((change): Found[] => {
    const step = onServer.get(change.urn);
    if (!step) return [];
    if (!step.new) return [gone(change)];
    if (change.type === FOREIGN_FIELDS) return takesBack(change) ? [change] : [];
    return differing(change, step, secrets);
  });
  const urns = new Set(found.map(({ urn }) => urn));
  const changes = found.filter(
    ({ type, name }) => type !== FOREIGN_FIELDS || !hasDeployment(found, name),
  );
  const isDrift = (change: Change) => urns.has(change.urn) || isCorrected(change, found);
  const fixableBy = plan.every(isDrift) ? policyFor(plan, found.length) : "nothing";
  return { changes, fixableBy, planned: plan.length };
}

function gone({ urn, type, name }: Change): Found {
  return { op: "delete", urn, type, name, properties: [], moreProperties: 0 };
}

/** The properties that differ on the server, as far as the plan changes them. */
function differing(change: Change, step: Step, secrets: readonly string[]): Found[] {
  const { properties: all, moreProperties } = serverChanges(step, secrets);
  if (all.length === 0 && moreProperties === 0) return [];
  const planned = all.filter(({ path }) => change.properties.some((one) => overlap(one, path)));
  const properties = planned.length > 0 ? planned : all;
  const { urn, type } = change;
  return [{ op: "update", urn, type, name: nameOf(urn), properties, moreProperties }];
}

/** Whether one path is the other, or a part of it. */
function overlap({ path: a }: PropertyChange, b: string): boolean {
  return a === b || isInside(a, b) || isInside(b, a);
}

function isInside(path: string, outer: string): boolean {
  return path.startsWith(outer) && /^[.[]/.test(path.slice(outer.length));
}

function takesBack({ properties }: Change): boolean {
  return properties.some(({ path, new: text = "" }) => path === "takenBack" && text !== "");
}

function hasDeployment(found: readonly Found[], name: string): boolean {
  return found.some((each) => each.type === DEPLOYMENT && each.name === name);
}

/** The update of a Deployment in which only foreign fields differ. */
function isCorrected({ type, name, op }: Change, found: readonly Found[]): boolean {
  const isForeign = found.some((each) => each.type === FOREIGN_FIELDS && each.name === name);
  return type === DEPLOYMENT && op === "update" && isForeign;
}

/** The first policy that permits the whole plan. */
function policyFor(plan: readonly Change[], drifted: number): FixPolicy {
  if (drifted === 0) return "nothing";
  if (plan.every(({ op }) => op === "update")) return "updates";
  const isRepair = ({ op, type }: Change) =>
    op === "update" || (op === "create" && !holdsData(type));
  return plan.every(isRepair) ? "repairs" : "nothing";
}
