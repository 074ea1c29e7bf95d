import { code } from "./markdown.ts";

/** Identifies our comment and its report. It is the hidden first line of the comment. */
export interface Marker {
  readonly commit: string;
  /** Later runs sort after earlier ones. */
  readonly run: string;
}

const MARKER = /^<!-- rdev-infra:preview commit=([0-9a-f]{4,64}) run=([0-9a-z-]{1,80}) -->$/m;

/** The notice above the report. */
const BANNER = /^> (⏳|⚠️) .*\n\n/;

/** The maximum length of marker and banner, in characters. */
export const RESERVED = 1_000;

/** Reads the marker of a comment; undefined if the comment has none. */
export function readMarker(body: string): Marker | undefined {
  const [, commit, run] = MARKER.exec(body.replaceAll("\r\n", "\n")) ?? [];
  return commit !== undefined && run !== undefined ? { commit, run } : undefined;
}

/** A comment with a report, and a notice if the branch has moved to another commit. */
export function reportBody(marker: Marker, report: string, head: string): string {
  const outdated =
    head === marker.commit
      ? ""
      : `> ⚠️ **Outdated**: this is the preview of ${code(short(marker.commit))}; ` +
        `the branch is at ${code(short(head))} now.\n\n`;
  return `${markerLine(marker)}\n${outdated}${report}`;
}

/** A comment while its report is being made. The previous report stays below the notice if it fits. */
export function pendingBody(marker: Marker, before: string | undefined, limit: number): string {
  const old = before === undefined ? undefined : readMarker(before);
  const report = old ? contentOf(before ?? "") : "";
  const below = old && report !== "" ? `; below is the preview of ${code(short(old.commit))}` : "";
  const banner = `> ⏳ ${code(short(marker.commit))} **is being previewed**${below}.\n\n`;
  const head = `${markerLine(marker)}\n${banner}`;
  return head.length + report.length <= limit ? head + report : head;
}

function markerLine({ commit, run }: Marker): string {
  return `<!-- rdev-infra:preview commit=${commit} run=${run} -->`;
}

function contentOf(body: string): string {
  return body.replaceAll("\r\n", "\n").replace(MARKER, "").replace(/^\n+/, "").replace(BANNER, "");
}

function short(commit: string): string {
  return commit.slice(0, 12);
}

/** True if `a` takes precedence: a run on the branch's head does, and then the later run. */
export function isNewer(a: Marker, b: Marker, head: string): boolean {
  const [ofHead, otherOfHead] = [a.commit === head, b.commit === head];
  return ofHead === otherOfHead ? a.run > b.run : ofHead;
}
