import { code } from "./markdown.ts";

/** A comment of ours: whose report it holds. It is the first line, where no reader sees it. */
export interface Marker {
  readonly commit: string;
  /** Later runs sort after earlier ones. */
  readonly run: string;
}

const MARKER = /^<!-- rdev-infra:preview commit=([0-9a-f]{4,64}) run=([0-9a-z-]{1,80}) -->$/m;

/** A word above the report, on a line of its own. */
const BANNER = /^> (⏳|⚠️) .*\n\n/;

/** What marker and banner take at most, in characters. */
export const RESERVED = 1_000;

/** Whose comment it is; undefined where it is none of ours. */
export function readMarker(body: string): Marker | undefined {
  const [, commit, run] = MARKER.exec(body.replaceAll("\r\n", "\n")) ?? [];
  return commit !== undefined && run !== undefined ? { commit, run } : undefined;
}

/** A comment with a report. Where the branch has gone on to another commit, it says so itself. */
export function reportBody(marker: Marker, report: string, head: string): string {
  const outdated =
    head === marker.commit
      ? ""
      : `> ⚠️ **Outdated**: this is the preview of ${code(short(marker.commit))}; ` +
        `the branch is at ${code(short(head))} now.\n\n`;
  return `${markerLine(marker)}\n${outdated}${report}`;
}

/** A comment while its report is being made: above what it held before, if it held something. */
export function pendingBody(marker: Marker, before: string | undefined, limit: number): string {
  const old = before === undefined ? undefined : readMarker(before);
  const report = old ? contentOf(before ?? "") : "";
  const whose = old && report !== "" ? `; below is the preview of ${code(short(old.commit))}` : "";
  const banner = `> ⏳ ${code(short(marker.commit))} **is being previewed**${whose}.\n\n`;
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

/** Which of two runs a reader wants to see: that of the branch's commit, and then the later one. */
export function isNewer(a: Marker, b: Marker, head: string): boolean {
  const [ofHead, otherOfHead] = [a.commit === head, b.commit === head];
  return ofHead === otherOfHead ? a.run > b.run : ofHead;
}
