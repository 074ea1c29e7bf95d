import { hash } from "node:crypto";
import { isRecord } from "../engine-values.ts";
import { compareText, stackChanges } from "./changes.ts";
import type { Finding, StackPlan } from "./model.ts";
import { findings, type BlockRules } from "./policies.ts";
import type { Step } from "./step.ts";

interface PlanOptions {
  readonly secrets: readonly string[];
  /** A project's pods must have labels; the platform's own need none. */
  readonly isProject: boolean;
  readonly rules: BlockRules;
}

const UNCUT = { properties: Infinity, path: Infinity, value: Infinity };

/** Policies that find a loss of data. */
const LOSSES: readonly string[] = ["database-lost", "repository-lost"];

/** Derives the plan of one stack from its preview's steps. */
export function planOf(steps: readonly Step[], options: PlanOptions): StackPlan {
  return {
    fingerprint: fingerprintOf(steps, options.secrets),
    ...stackChanges(steps, options.secrets),
    findings: findings(steps, options),
  };
}

/** Whether a plan deletes or replaces something that holds data. */
export function losesData({ findings: found }: { readonly findings: readonly Finding[] }): boolean {
  return found.some(({ rule }) => LOSSES.includes(rule));
}

/**
 * Identifies a plan. It covers every change in full, also what is cut for people, but a secret only as
 * "[secret]". Names that the engine generates anew in each preview do not count.
 */
function fingerprintOf(steps: readonly Step[], secrets: readonly string[]): string {
  const { changes } = stackChanges(steps, secrets, UNCUT);
  const sorted = changes.map(({ op, urn, properties }) => [
    op,
    urn,
    properties.toSorted((a, b) => compareText(a.path, b.path)),
  ]);
  const text = generatedNames(steps).reduce(
    (whole, name) => whole.replaceAll(name, "<generated>"),
    JSON.stringify(sorted),
  );
  return hash("sha256", text);
}

/** Kubernetes objects without a name of their own. The plugin marks them, and names them at random. */
function generatedNames(steps: readonly Step[]): string[] {
  return steps.flatMap(({ op, new: state }) => {
    const metadata = op === "same" ? undefined : state?.inputs["metadata"];
    if (!isRecord(metadata) || !isRecord(metadata["annotations"])) return [];
    const { name } = metadata;
    const isGenerated = metadata["annotations"]["pulumi.com/autonamed"] === "true";
    return isGenerated && typeof name === "string" && name !== "" ? [name] : [];
  });
}
