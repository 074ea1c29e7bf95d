import { compareText } from "./changes.ts";
import { isDestructive } from "./group.ts";
import type { Report, StackPreview, Totals, Verdict } from "./model.ts";
import { count } from "./text.ts";

interface Run {
  readonly stacks: readonly StackPreview[];
  readonly selection: string;
  readonly durationMs: number;
  /** The previewed commit. */
  readonly commit?: string | undefined;
}

/** Combines the previews of many stacks. */
export function makeReport({ stacks, selection, durationMs, commit }: Run): Report {
  const totals = totalsOf(stacks);
  return {
    version: 1,
    verdict: verdictOf(totals),
    ...(commit !== undefined && { commit }),
    selection,
    durationMs,
    totals,
    stacks: stacks.toSorted((a, b) => compareText(a.stack, b.stack)),
  };
}

function totalsOf(stacks: readonly StackPreview[]): Totals {
  const ended = stacks.filter(({ result }) => result === "succeeded");
  const changed = ended.filter(({ changes }) => changes.length > 0);
  const changes = ended.flatMap((stack) => stack.changes);
  const findings = ended.flatMap((stack) => stack.findings);
  const counted = (op: string) => changes.filter((change) => change.op === op).length;
  return {
    stacks: stacks.length,
    changed: changed.length,
    unchanged: ended.length - changed.length,
    failed: stacks.filter(({ result }) => result === "failed").length,
    cancelled: stacks.filter(({ result }) => result === "cancelled").length,
    create: counted("create"),
    update: counted("update"),
    replace: counted("replace"),
    delete: counted("delete"),
    import: counted("import"),
    findings: findings.length,
    blocking: findings.filter(({ blocks }) => blocks).length,
  };
}

function verdictOf(totals: Totals): Verdict {
  if (totals.failed + totals.cancelled > 0) return "failed";
  if (totals.blocking > 0) return "blocked";
  if (totals.replace + totals.delete > 0) return "destructive";
  return totals.changed > 0 ? "changed" : "unchanged";
}

/** The result of one stack's preview, for a line of progress. */
export function stackLine({ result, changes, errors }: StackPreview): string {
  if (result === "failed")
    return `failed: ${errors[0]?.message.split("\n")[0] ?? "no cause was reported"}`;
  if (result === "cancelled") return "cancelled";
  if (changes.length === 0) return "no changes";
  const severe = changes.filter(isDestructive).length;
  return count(changes.length, "change") + (severe > 0 ? `, ${severe} of them destructive` : "");
}

/** `1 failed, 37 updated; 37 of 500 stacks would change`: the most severe first. */
export function summaryLine({ totals }: Pick<Report, "totals">): string {
  const parts: readonly [number, string][] = [
    [totals.blocking, "blocking"],
    [totals.replace, "replaced"],
    [totals.delete, "deleted"],
    [totals.failed, "failed"],
    [totals.cancelled, "cancelled"],
    [totals.create, "created"],
    [totals.import, "imported"],
    [totals.update, "updated"],
  ];
  const counts = parts.filter(([number]) => number > 0).map((part) => part.join(" "));
  const stacks = count(totals.stacks, "stack");
  if (counts.length === 0) return `no changes in ${stacks}`;
  return `${counts.join(", ")}; ${totals.changed} of ${stacks} would change`;
}
