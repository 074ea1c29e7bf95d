import { typeText } from "../engine-values.ts";
import { groupStacks, isDestructive, type Group } from "./group.ts";
import { code, link } from "./markdown.ts";
import type { Change, Finding, PropertyChange, Report, Verdict } from "./model.ts";
import { summaryLine } from "./report.ts";
import { nameOf, typeOf } from "./step.ts";
import { count, cutMiddle } from "./text.ts";

/** How much of a group the Markdown shows; the JSON report has everything. */
const MAX = {
  stacks: 20,
  changes: 30,
  properties: 12,
  errors: 5,
  findings: 20,
  name: 120,
} as const;
const MAX_VALUE = 200;
const MAX_ERROR = 1_000;

/** The smallest limit that any report fits in, in characters. */
export const MIN_LIMIT = 4_000;

interface RenderOptions {
  /** In UTF-16 characters, at least MIN_LIMIT. Default: no limit. */
  readonly limit?: number;
  /** The URL of the whole report. */
  readonly reportUrl?: string | undefined;
}

/**
 * Renders the report as Markdown for a comment: the summary, then destructive and blocking groups,
 * failures, and other changes. To stay within `limit`, it leaves out whole groups and counts them.
 */
export function renderReport(report: Report, options: RenderOptions = {}): string {
  const { limit = Infinity, reportUrl } = options;
  const groups = groupStacks(report);
  const sections: readonly [title: string, groups: readonly Group[], open: boolean][] = [
    ["⛔ Replacements, deletions and what blocks", groups.severe, true],
    ["❌ Failed", groups.failed, true],
    ["Changes", groups.changed, false],
  ];
  const head = `## ${SIGN[report.verdict]} Preview: ${summaryLine(report)}\n`;
  const foot = (leftOut: readonly Group[]) => footer(report, groups.unchanged, leftOut, reportUrl);

  const parts: string[] = [];
  const leftOut: Group[] = [];
  let room = limit - head.length - foot(sections.flatMap(([, each]) => each)).length;
  for (const [title, each, open] of sections) {
    let heading = `\n### ${title}\n\n`;
    for (const group of each) {
      const full = heading + groupText(group, open);
      const text = full.length <= Math.min(room, limit / 4) ? full : heading + briefText(group);
      if (text.length > room) {
        leftOut.push(group);
        continue;
      }
      parts.push(text);
      room -= text.length;
      heading = "";
    }
  }
  return head + parts.join("") + foot(leftOut);
}

const SIGN: Readonly<Record<Verdict, string>> = {
  unchanged: "✅",
  changed: "🟡",
  destructive: "⛔",
  blocked: "⛔",
  failed: "❌",
};

function footer(
  { commit, selection, stacks }: Report,
  unchanged: readonly string[],
  leftOut: readonly Group[],
  reportUrl: string | undefined,
): string {
  const whole = reportUrl === undefined ? undefined : link("the whole report", reportUrl);
  const names = leftOut.flatMap((group) => group.stacks);
  const lines = [
    ...(leftOut.length > 0
      ? [
          `**${count(leftOut.length, "more group")} of changes, of ${count(names.length, "stack")}, ` +
            `${leftOut.length === 1 ? "is" : "are"} left out here**: ` +
            `${whole ?? "the whole report is in the run's files"}.`,
        ]
      : []),
    unchanged.length > 0 ? `${count(unchanged.length, "stack")} unchanged.` : "",
    [
      ...(commit === undefined ? [] : [`commit ${code(commit.slice(0, 40))}`]),
      `${count(stacks.length, "stack")}: ${code(cutMiddle(selection, 300))}`,
      ...(whole === undefined || leftOut.length > 0 ? [] : [whole]),
    ].join(" · "),
  ];
  return `\n${lines.filter((line) => line !== "").join("\n\n")}\n`;
}

/** A group in full. Destructive and failed groups are unfolded. */
function groupText(group: Group, open: boolean): string {
  const summary = `<summary>${headline(group)}</summary>`;
  const body = [
    group.stacks.length > 1 ? `${stackNames(group)}\n` : "",
    ...some(group.findings, MAX.findings, findingText),
    ...some(group.errors, MAX.errors, ({ code: kind, message, urn }) => {
      const where = urn === undefined ? "" : ` (${resource(urn)})`;
      const text = code(cutMiddle(message, MAX_ERROR));
      return `- ${kind === undefined ? "" : `${code(kind)} `}${text}${where}`;
    }),
    ...some(group.changes, MAX.changes, changeText),
  ].filter((line) => line !== "");
  return `<details${open ? " open" : ""}>${summary}\n\n${body.join("\n")}\n\n</details>\n`;
}

/** A group on one line. */
function briefText(group: Group): string {
  const severe = group.changes.filter(isDestructive).slice(0, 3).map(changeTitle);
  const detail = severe.length > 0 ? ` (${severe.join(", ")})` : "";
  return `- ${headline(group)}${detail}\n`;
}

/** `37 stacks: 1 replaced, 2 updated`. HTML, because Markdown is not parsed inside a summary. */
function headline(group: Group): string {
  const [first = ""] = group.stacks;
  const stacks =
    group.stacks.length === 1 ? name(first) : `<b>${count(group.stacks.length, "stack")}</b>`;
  return `${stacks}: ${contents(group)}`;
}

function contents({ changes, findings, errors }: Group): string {
  if (errors.length > 0) {
    const [{ code: kind, message } = { message: "" }] = errors;
    return code(kind ?? cutMiddle(message.split("\n")[0] ?? "", MAX.name));
  }
  const blocking = findings.filter(({ blocks }) => blocks).length;
  const counts = (["replace", "delete", "create", "import", "update"] as const).flatMap((op) => {
    const number = changes.filter((change) => change.op === op).length;
    if (number === 0) return [];
    const text = `${number} ${DONE[op]}`;
    return [op === "replace" || op === "delete" ? `<b>${text.toUpperCase()}</b>` : text];
  });
  const [only] = changes;
  const single = changes.length === 1 && only ? `, ${type(only.type)} ${name(only.name)}` : "";
  const parts = [...(blocking > 0 ? [`<b>${blocking} blocking</b>`] : []), ...counts];
  return parts.length > 0 ? parts.join(", ") + single : count(findings.length, "finding");
}

const DONE: Readonly<Record<Change["op"], string>> = {
  replace: "replaced",
  delete: "deleted",
  create: "created",
  import: "imported",
  update: "updated",
};

function stackNames({ stacks }: Group): string {
  const shown = stacks.slice(0, MAX.stacks).map(name).join(", ");
  const more = stacks.length - MAX.stacks;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function findingText({ rule, message, blocks }: Finding): string {
  const sign = blocks ? "⛔ **blocks**" : "⚠️";
  return `- ${sign} ${name(rule)}: ${code(cutMiddle(message, MAX_ERROR))}`;
}

function changeText(change: Change): string {
  const { properties, moreProperties } = change;
  const lines = properties.slice(0, MAX.properties).map((each) => `  - ${propertyText(each)}`);
  const more = properties.length - lines.length + moreProperties;
  return [
    `- ${changeTitle(change)}`,
    ...lines,
    ...(more > 0 ? [`  - and ${count(more, "more property", "more properties")}`] : []),
  ].join("\n");
}

function changeTitle(change: Change): string {
  const { op } = change;
  const verb = isDestructive(change) ? `⛔ <b>${op.toUpperCase()}</b>` : op;
  return `${verb} ${type(change.type)} ${name(change.name)}`;
}

function propertyText({ path, kind, replaces, old: before, new: after }: PropertyChange): string {
  const from = value(before);
  const to = value(after);
  const effect = replaces ? " **(replaces)**" : "";
  if (kind === "add") return `${code(path)} added: ${to}${effect}`;
  if (kind === "delete") return `${code(path)} removed, was ${from}${effect}`;
  return `${code(path)}: ${from} → ${to}${effect}`;
}

function value(text: string | undefined): string {
  return code(cutMiddle(text ?? "", MAX_VALUE));
}

function type(text: string): string {
  return name(typeText(text));
}

function name(text: string): string {
  return code(cutMiddle(text, MAX.name));
}

/** The type and the name in a URN. */
function resource(urn: string): string {
  return `${type(typeOf(urn))} ${name(nameOf(urn))}`;
}

function some<T>(items: readonly T[], max: number, text: (item: T) => string): string[] {
  const more = items.length - max;
  const lines = items.slice(0, max).map(text);
  return more > 0 ? [...lines, `- and ${more} more`] : lines;
}
