import { constants, open } from "node:fs/promises";
import { reportSchema, type Report, type Verdict } from "../../core/previews/model.ts";
import { makeReport } from "../../core/previews/report.ts";
import type { PullRequests } from "../../providers/pull-requests.ts";
import { short } from "../../core/previews/approval.ts";
import { ReportComment } from "./comment.ts";

/** A report's largest size, in bytes: 500 stacks that all change take a tenth of it. */
const MAX_SIZE = 64 * 1024 * 1024;

export interface ShowReportOptions {
  /** Written by the pull request's own code, and so believed in nothing but its contents. */
  readonly file: string;
  /** The commit that was approved, in full. */
  readonly commit: string;
  readonly reportUrl?: string | undefined;
}

/** Shows a report, or why there is none, as the pull request's comment and the commit's status. */
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
  if (text === undefined) return { cause: "The preview wrote no report: its log says why." };
  const parsed = reportSchema.safeParse(parseJson(text));
  if (!parsed.success)
    return { cause: "The preview's report is not of the form that it must have." };
  const { commit: of = "", ...said } = parsed.data;
  if (of !== commit) {
    const which = of === "" ? "no commit" : `the commit ${short(of)}`;
    return { cause: `The preview's report names ${which}, not the approved ${short(commit)}.` };
  }
  return { report: makeReport({ ...said, commit }) }; // verdict and totals are counted here
}

/** Undefined for what is no file, as a pipe would keep this waiting, and for one that is too long. */
async function readLimited(file: string): Promise<string | undefined> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
  try {
    const found = await handle?.stat();
    return found?.isFile() && found.size <= MAX_SIZE ? await handle?.readFile("utf8") : undefined;
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
