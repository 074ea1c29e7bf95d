import { databaseName } from "../slug.ts";
import type { Change, Group, Report, StackPreview } from "./model.ts";
import { compareText } from "./changes.ts";

export type { Group };

export interface Groups {
  /** Groups with a replacement, a deletion or a blocking finding; blocking ones first. */
  readonly severe: Group[];
  /** Stacks that failed or were cancelled. */
  readonly failed: Group[];
  /** All other changes, largest group first. */
  readonly changed: Group[];
  readonly unchanged: string[];
}

/** Groups the stacks so that each change is shown once. Every stack is in one group, or unchanged. */
export function groupStacks({ stacks }: Pick<Report, "stacks">): Groups {
  const ended = stacks.filter(({ result }) => result === "succeeded");
  const withContent = ended.filter(({ changes, findings }) => changes.length + findings.length > 0);
  const groups = groupAlike(withContent);
  return {
    severe: groups
      .filter(isSevere)
      .toSorted((a, b) => Number(isBlocking(b)) - Number(isBlocking(a)) || bySize(a, b)),
    failed: groupAlike(stacks.filter(({ result }) => result !== "succeeded")).toSorted(bySize),
    changed: groups.filter((group) => !isSevere(group)).toSorted(bySize),
    unchanged: ended
      .filter((stack) => !withContent.includes(stack))
      .map(({ stack }) => stack)
      .toSorted(compareText),
  };
}

export function isDestructive({ op }: Change): boolean {
  return op === "replace" || op === "delete";
}

function isSevere(group: Group): boolean {
  return group.changes.some(isDestructive) || isBlocking(group);
}

function isBlocking({ findings }: Group): boolean {
  return findings.some(({ blocks }) => blocks);
}

function bySize(a: Group, b: Group): number {
  return b.stacks.length - a.stacks.length || compareText(a.stacks[0] ?? "", b.stacks[0] ?? "");
}

/**
 * Groups stacks whose changes are identical, or identical except for their slugs. Both keys are needed: a
 * slug such as `app` may also be a word in the changes of every stack.
 */
function groupAlike(stacks: readonly StackPreview[]): Group[] {
  const groups: { members: string[]; first: Content; neutral: Content; exact: Set<string> }[] = [];
  const byKey = new Map<string, (typeof groups)[number]>();
  for (const preview of stacks) {
    const { stack } = preview;
    const first = contentOf(preview);
    const neutral = mapTexts(first, neutralFor(stack));
    const exact = JSON.stringify(first);
    const keys = [`=${exact}`, `~${JSON.stringify(neutral)}`];
    let group = keys.map((key) => byKey.get(key)).find(Boolean);
    if (!group) groups.push((group = { members: [], first, neutral, exact: new Set() }));
    group.members.push(stack);
    group.exact.add(exact);
    for (const key of keys) if (!byKey.has(key)) byKey.set(key, group);
  }
  return groups.map(({ members, first, neutral, exact }) => ({
    stacks: members.toSorted(compareText),
    ...(exact.size === 1 ? first : neutral),
  }));
}

type Content = Omit<Group, "stacks">;

/** A stack's changes without its own name, which every URN begins with. */
function contentOf({ stack, changes, findings, errors }: StackPreview): Content {
  const own = `urn:pulumi:${stack}::`;
  return mapTexts({ changes, findings, errors }, (text) =>
    text.startsWith(own) ? `urn:pulumi:<stack>::${text.slice(own.length)}` : text,
  );
}

/** Maps every text of a stack's changes. */
function mapTexts({ changes, findings, errors }: Content, map: (text: string) => string): Content {
  const withUrn = ({ urn }: { urn?: string | undefined }) =>
    urn === undefined ? {} : { urn: map(urn) };
  return {
    changes: changes.map((change) => ({
      ...change,
      urn: map(change.urn),
      name: map(change.name),
      properties: change.properties.map((property) => ({
        ...property,
        path: map(property.path),
        ...(property.old !== undefined && { old: map(property.old) }),
        ...(property.new !== undefined && { new: map(property.new) }),
      })),
    })),
    findings: findings.map((finding) => ({
      ...finding,
      urn: map(finding.urn),
      message: map(finding.message),
    })),
    errors: errors.map((error) => ({ ...error, ...withUrn(error), message: map(error.message) })),
  };
}

/** Replaces the slug, and the database name derived from it, where they are whole words. */
function neutralFor(stack: string): (text: string) => string {
  const [, slug = ""] = stack.split(".");
  if (!/^[a-z0-9-]+$/.test(slug)) return (text) => text;
  const names = [...new Set([slug, databaseName(slug)])].join("|");
  const word = new RegExp(`(?<![A-Za-z0-9])(${names})(?![A-Za-z0-9])`, "g");
  return (text) => text.replace(word, "<slug>");
}
