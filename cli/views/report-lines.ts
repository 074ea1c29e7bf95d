import { groupStacks, type Group, type Groups } from "../../core/previews/group.ts";
import type { Change, Report } from "../../core/previews/model.ts";
import { count } from "../../core/previews/text.ts";
import { durationText, errorText, paint, plannedSign, printable, resourceText } from "../text.ts";
import { propertyLines } from "./differences.ts";

/** How much of a group a terminal shows; the report's files have the rest. */
const MAX = { stacks: 8, changes: 30, properties: 12 } as const;

/** The report of many previews, for a person at a terminal. Markdown is for files and comments. */
export function reportLines(report: Report): string[] {
  const time = `${count(report.stacks.length, "stack")} in ${durationText(report.durationMs)}.`;
  return groupedLines(groupStacks(report), time);
}

/** Groups of stacks, and a last line. */
export function groupedLines(
  { failed, severe, changed, unchanged }: Groups,
  last: string,
): string[] {
  const sections: readonly [title: string, groups: readonly Group[]][] = [
    ["Replacements, deletions and blocking findings", severe],
    ["Failed", failed],
    ["Changes", changed],
  ];
  const lines = sections.flatMap(([title, groups]) =>
    groups.length === 0 ? [] : [paint("bold", title), ...groups.flatMap(groupLines), ""],
  );
  const same = unchanged.length > 0 ? `${count(unchanged.length, "stack")} unchanged. ` : "";
  return [...lines, `${same}${last}`];
}

function groupLines({ stacks, findings, errors, changes }: Group): string[] {
  const names = stacks.slice(0, MAX.stacks).join(", ");
  const more = stacks.length - MAX.stacks;
  const hidden = changes.length - MAX.changes;
  const title = more > 0 ? `${names} and ${more} more` : names;
  return [
    `  ${paint("cyan", printable(title))}`,
    ...findings.map(({ rule, message, blocks }) => {
      const text = printable(`${rule}: ${message}`);
      return blocks ? paint("red", `    ✗ ${text} (blocks)`) : paint("yellow", `    ! ${text}`);
    }),
    ...errors.flatMap((error) =>
      errorText(error)
        .split("\n")
        .map((line, at) => paint("red", `    ${at === 0 ? "✗" : " "} ${printable(line)}`)),
    ),
    ...changes
      .slice(0, MAX.changes)
      .flatMap(changeLines)
      .map((line) => `    ${line}`),
    ...(hidden > 0 ? [`    and ${count(hidden, "more change")}`] : []),
  ];
}

function changeLines(change: Change): string[] {
  const shown = change.properties.slice(0, MAX.properties);
  const more = change.properties.length - shown.length + change.moreProperties;
  return [
    `${plannedSign(change.op)} ${change.op} ${printable(resourceText(change))}`,
    ...propertyLines(shown, more),
  ];
}
