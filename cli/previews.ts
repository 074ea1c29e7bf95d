import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReportComment } from "../automation/previews/comment.ts";
import { connectionSecrets, githubEventFile, processEnvironment } from "../core/connections.ts";
import { InfraError, userMessage } from "../core/errors.ts";
import { commentTarget, type CommentTarget, type Overrides } from "../core/previews/ci.ts";
import type { Report } from "../core/previews/model.ts";
import { parseBlockRules, type BlockRules } from "../core/previews/policies.ts";
import { renderReport } from "../core/previews/render.ts";
import { makeReport, summaryLine } from "../core/previews/report.ts";
import { safeText } from "../core/previews/sensitive.ts";
import { parseStackName } from "../core/stack-name.ts";
import { EXIT } from "./exit-codes.ts";
import { formerSettings } from "./former-settings.ts";
import { interruptible } from "./interrupts.ts";
import { openPullRequest } from "./pull-requests.ts";
import { lineProgress, terminalProgress } from "./views/previews-progress.ts";

/** The options of `preview` for more than one stack. */
export interface PreviewsOptions extends Omit<Overrides, "reportUrl"> {
  readonly all?: true;
  readonly changed?: string;
  readonly stacks?: readonly string[];
  readonly concurrency?: number;
  readonly block: string;
  readonly json?: boolean;
  readonly report?: string;
  readonly markdown?: string;
  readonly comment?: true;
  readonly reportUrl?: string;
  readonly expectNoChanges?: boolean;
  readonly workDir?: string;
}

const PACKAGE = fileURLToPath(new URL("../", import.meta.url));

/** Previews the stacks asked for, and tells the report wherever it is wanted. The exit code. */
export async function previews(options: PreviewsOptions): Promise<number> {
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

interface Job {
  readonly rules: BlockRules;
  readonly target: CommentTarget | undefined;
  readonly comment: ReportComment | undefined;
}

async function previewed(options: PreviewsOptions, { rules, target, comment }: Job) {
  const begin = Date.now();
  const workDir = resolve(options.workDir ?? (existsSync("Pulumi.yaml") ? "." : PACKAGE));
  const { stacks: wanted, why } = await selected(options, workDir);
  console.error(`previewing ${wanted.length} stacks (${why})`);
  const formerly = await formerSettings();
  const { previewStacks } = await import("../automation/previews/preview-stacks.ts");
  const { stderr } = process;
  const view = stderr.isTTY ? terminalProgress(stderr) : lineProgress(console.error);
  const stacks = await interruptible(
    (text) => view.note(text),
    (signals) =>
      previewStacks(wanted, {
        ...signals,
        workDir,
        rules,
        formerly,
        ...(options.concurrency && { concurrency: options.concurrency }),
        onDone: (preview, progress) => view.done(preview, progress),
      }),
  ).finally(() => view.end());
  const commit = target ? target.commit : options.commit;
  const report = makeReport({ stacks, selection: why, durationMs: Date.now() - begin, commit });
  await write(report, options, target);
  console.error(summaryLine(report));
  const told = await tolerated(comment?.finish(report));
  return stacks.some(({ result }) => result === "cancelled")
    ? EXIT.interrupted
    : exitCodeOf(report, told, options.expectNoChanges === true);
}

async function selected(options: PreviewsOptions, workDir: string) {
  const { all, changed, stacks } = options;
  if (stacks) return { stacks: [...new Set(stacks)], why: "as named" };
  const { listStacks } = await import("../automation/previews/stacks.ts");
  const every = await listStacks(workDir);
  if (all || changed === undefined) return { stacks: every, why: "all" };
  const { stacksChangedSince } = await import("../automation/previews/changed.ts");
  return stacksChangedSince(changed, every, { root: PACKAGE, workDir });
}

async function write(report: Report, options: PreviewsOptions, target: CommentTarget | undefined) {
  const { json, report: file, markdown } = options;
  const text = JSON.stringify(report, undefined, 2);
  const reportUrl = options.reportUrl ?? target?.runUrl;
  const rendered = renderReport(report, { ...(reportUrl && { reportUrl }) });
  if (file !== undefined) await writeFile(file, `${text}\n`);
  if (markdown !== undefined) await writeFile(markdown, rendered);
  if (json) console.log(text);
  else if (file === undefined && markdown === undefined) console.log(rendered);
}

async function openComment(target: CommentTarget, { reportUrl }: PreviewsOptions) {
  const { ReportComment } = await import("../automation/previews/comment.ts");
  const { commit, runUrl } = target;
  const { host } = await openPullRequest(target);
  return new ReportComment(host, { commit, reportUrl: reportUrl ?? runUrl });
}

/** False, with the error told, where it failed: the report is worth more than its comment. */
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

/** GITHUB_SHA is a merge of both branches: the pull request's own commit is in the event. */
async function headOfEvent(): Promise<string | undefined> {
  const file = githubEventFile();
  if (!file) return undefined;
  const text = await readFile(file, "utf8").catch(() => "{}");
  const event = JSON.parse(text) as { pull_request?: { head?: { sha?: string } } };
  return event.pull_request?.head?.sha;
}

function exitCodeOf({ verdict }: Report, told: boolean, expectNoChanges: boolean): number {
  if (verdict === "failed" || !told) return EXIT.failed;
  if (verdict === "blocked") return EXIT.blocked;
  if (!expectNoChanges || verdict === "unchanged") return EXIT.done;
  return verdict === "destructive" ? EXIT.destructive : EXIT.changes;
}
