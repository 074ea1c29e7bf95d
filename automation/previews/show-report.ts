import { constants, open } from "node:fs/promises";
import { reportSchema, type Report, type Verdict } from "../../core/previews/model.ts";
import { makeReport } from "../../core/previews/report.ts";
import type { PullRequests } from "../../providers/pull-requests.ts";
import { short } from "../../core/previews/approval.ts";
import { ReportComment } from "./comment.ts";

/** In bytes. A report of 500 stacks that all change takes a tenth of it. */
const MAX_SIZE = 64 * 1024 * 1024;

interface ShowReportOptions {
  /** Written by the pull request's own code, so it is untrusted: only its validated contents are used. */
  readonly file: string;
  /** The full SHA of the approved commit. */
  readonly commit: string;
  readonly reportUrl?: string | undefined;
}

/** Publishes a report, or why there is none, as the pull request's comment and commit status. */
export async function showReport(
  pulls: PullRequests,
  { file, commit, reportUrl }: ShowReportOptions,
): Promise<Verdict> {
  const comment = new ReportComment(pulls, { commit, reportUrl });
  const read = await readReport(file, commit);
  if ("cause" in read) {
    await comment.abandon(read.cause);
    return "failed";
  }
  await comment.finish(read.report);
  return read.report.verdict;
}

async function readReport(
  file: string,
  commit: string,
): Promise<{ readonly report: Report } | { readonly cause: string }> {
  const text = await readLimited(file);
  if (text === undefined) {
    return { cause: "The preview wrote no report. See its log for the cause." };
  }
  const parsed = reportSchema.safeParse(parseJson(text));
  if (!parsed.success) return { cause: "The preview's report does not have the expected form." };
  const { commit: previewed = "", ...contents } = parsed.data;
  if (previewed !== commit) {
    const which = previewed === "" ? "no commit" : `the commit ${short(previewed)}`;
    return { cause: `The preview's report names ${which}, not the approved ${short(commit)}.` };
  }
  return { report: makeReport({ ...contents, commit }) }; // recomputes verdict and totals
}

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;

/**
 * Undefined for an empty file, one that is too large, and anything but a file: a pipe would block this, and a
 * link could name a file that only this process may read.
 */
async function readLimited(file: string): Promise<string | undefined> {
  const handle = await open(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW).catch(() => undefined);
  try {
    const found = await handle?.stat();
    const isReport = found?.isFile() && found.size > 0 && found.size <= MAX_SIZE;
    return isReport ? await handle?.readFile("utf8") : undefined;
  } finally {
    await handle?.close();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
