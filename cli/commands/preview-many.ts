import { readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import type { ReportComment } from "../../automation/previews/comment.ts";
import { PACKAGE } from "../../automation/engine/folders.ts";
import { connectionSecrets, githubEventFile, processEnvironment } from "../../core/connections.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import { commentTarget, type CommentTarget, type Overrides } from "../../core/previews/ci.ts";
import type { Report } from "../../core/previews/model.ts";
import { parseBlockRules, type BlockRules } from "../../core/previews/policies.ts";
import { renderReport } from "../../core/previews/render.ts";
import { makeReport, summaryLine } from "../../core/previews/report.ts";
import { safeText } from "../../core/previews/sensitive.ts";
import { parseStackName } from "../../core/stack-name.ts";
import { formerSettings } from "../database.ts";
import { EXIT } from "../exit-codes.ts";
import { interruptible, workFolder } from "../operation.ts";
import { lineProgress, terminalProgress } from "../views/preview-progress.ts";
import { reportLines } from "../views/report-lines.ts";

/** The options of `preview` for more than one stack. */
export interface PreviewManyOptions extends Overrides {
  readonly all?: true;
  readonly changed?: string;
  readonly stacks?: readonly string[];
  readonly concurrency?: number;
  readonly block: string;
  readonly json?: boolean;
  readonly report?: string;
  readonly markdown?: string;
  readonly comment?: true;
  readonly expectNoChanges?: boolean;
  readonly workDir?: string;
}

/** Previews the selected stacks and publishes the report where it was asked for. Returns the exit code. */
export async function previewMany(options: PreviewManyOptions): Promise<number> {
  const rules = parseBlockRules(options.block);
  options.stacks?.forEach(parseStackName);
  const target =
    options.comment && commentTarget(processEnvironment(), options, await headOfEvent());
  const comment = target && (await openComment(target, options));
  await tolerated(comment?.begin());
  try {
    return await previewed(options, { rules, target, comment });
  } catch (error) {
    await tolerated(comment?.abandon(safeText(userMessage(error), connectionSecrets())));
    throw error;
  }
}

interface Run {
  readonly rules: BlockRules;
  readonly target: CommentTarget | undefined;
  readonly comment: ReportComment | undefined;
}

async function previewed(options: PreviewManyOptions, { rules, target, comment }: Run) {
  const begin = Date.now();
  const workDir = workFolder(options.workDir) ?? PACKAGE;
  const selection = await selected(options, workDir);
  console.error(`previewing ${selection.stacks.length} stacks (${selection.why})`);
  const formerly = await formerSettings();
  const { previewStacks } = await import("../../automation/previews/preview-stacks.ts");
  const { stderr } = process;
  const view = stderr.isTTY ? terminalProgress(stderr) : lineProgress(console.error);
  const stacks = await interruptible(
    (text) => view.note(text),
    (signals) =>
      previewStacks(selection.stacks, {
        ...signals,
        workDir,
        rules,
        formerly,
        ...(options.concurrency && { concurrency: options.concurrency }),
        onDone: (preview, progress) => view.done(preview, progress),
      }),
  ).finally(() => view.end());
  const commit = target ? target.commit : options.commit;
  const durationMs = Date.now() - begin;
  const report = makeReport({ stacks, selection: selection.why, durationMs, commit });
  await write(report, options, target);
  console.error(summaryLine(report));
  const isPublished = await tolerated(comment?.finish(report));
  return stacks.some(({ result }) => result === "cancelled")
    ? EXIT.interrupted
    : exitCodeOf(report, isPublished, options.expectNoChanges === true);
}

async function selected(options: PreviewManyOptions, workDir: string) {
  const { all, changed, stacks } = options;
  if (stacks) return { stacks: [...new Set(stacks)], why: "as named" };
  const { backendStacks } = await import("../../automation/engine/backend-stacks.ts");
  const every = (await backendStacks(workDir)).map(({ stack }) => stack);
  if (all || changed === undefined) return { stacks: every, why: "all" };
  const { stacksChangedSince } = await import("../../automation/previews/changed.ts");
  return stacksChangedSince(changed, every, { root: PACKAGE, workDir });
}

/** On stdout a person gets readable lines; a file or a pipe gets Markdown, or JSON if asked for. */
async function write(
  report: Report,
  options: PreviewManyOptions,
  target: CommentTarget | undefined,
): Promise<void> {
  const { json, report: file, markdown } = options;
  const text = JSON.stringify(report, undefined, 2);
  const reportUrl = options.reportUrl ?? target?.runUrl;
  const rendered = renderReport(report, { reportUrl });
  if (file !== undefined) await writeFile(file, `${text}\n`);
  if (markdown !== undefined) await writeFile(markdown, rendered);
  if (json) console.log(text);
  else if (process.stdout.isTTY) console.log(reportLines(report).join("\n"));
  else if (file === undefined && markdown === undefined) console.log(rendered);
}

async function openComment(target: CommentTarget, { reportUrl }: PreviewManyOptions) {
  const { ReportComment } = await import("../../automation/previews/comment.ts");
  const { commit, runUrl } = target;
  const { openPullRequest } = await import("../../automation/previews/forge-host.ts");
  const { host } = openPullRequest(target);
  return new ReportComment(host, { commit, reportUrl: reportUrl ?? runUrl });
}

/** Returns false, and prints the error, if the work failed: the report is worth more than its comment. */
async function tolerated(work: Promise<void> | undefined): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!(error instanceof InfraError)) throw error;
    console.error(`${error.code}: ${error.message}`);
    return false;
  }
}

const pullRequestEvent = z.object({
  pull_request: z.object({ head: z.object({ sha: z.string() }) }),
});

/** GITHUB_SHA is a merge commit; the event file has the pull request's own commit. */
async function headOfEvent(): Promise<string | undefined> {
  const file = githubEventFile();
  if (!file) return undefined;
  const text = await readFile(file, "utf8").catch(() => "{}");
  return pullRequestEvent.safeParse(JSON.parse(text)).data?.pull_request.head.sha;
}

function exitCodeOf({ verdict }: Report, isPublished: boolean, expectNoChanges: boolean): number {
  if (verdict === "failed" || !isPublished) return EXIT.failed;
  if (verdict === "blocked") return EXIT.blocked;
  if (!expectNoChanges || verdict === "unchanged") return EXIT.done;
  return verdict === "destructive" ? EXIT.destructive : EXIT.changes;
}
