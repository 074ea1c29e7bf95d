import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InfraError } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import type { TemplateFile } from "../../core/template.ts";
import {
  BASE_REFS,
  baseRef,
  parseTemplateRecord,
  PUSHED_REF,
  recordFile,
  SEED_SUBJECT,
  TEMPLATE_RECORD,
  type TemplateConflict,
  type TemplateRecord,
  UPDATE_BRANCH,
} from "../../core/template-update.ts";
import { type Remote, runGit, runLocalGit } from "./git.ts";
import { writeFiles } from "./template.ts";

/** In ms, for the fetch of a whole history. */
const DEADLINE = 10 * 60_000;
const UPDATE_REF = `refs/heads/${UPDATE_BRANCH}`;
/** `git fetch --depth` takes this as the whole history, also where there is nothing more to fetch. */
const WHOLE_HISTORY = 2_147_483_647;

// The names of the two sides in conflict markers and messages.
const OURS = "project";
const THEIRS = "template";

export interface Proposal {
  /** The branch that the pull request would be merged into. */
  readonly branch: string;
  readonly record: TemplateRecord;
  /** The template's files for this project. */
  readonly files: readonly TemplateFile[];
  /** Whether a pull request from UPDATE_BRANCH is open. */
  readonly hasPullRequest: boolean;
  /** Merge without a push. */
  readonly dryRun: boolean;
}

export interface Proposed {
  /** The version in `branch`; undefined if the repository does not say. */
  readonly version: string | undefined;
  /** `current`: `branch` has it. `unchanged`: UPDATE_BRANCH has it. `pushed`: or would be, in a dry run. */
  readonly state: "current" | "unchanged" | "pushed";
  /** The paths that the pull request changes. */
  readonly files: readonly string[];
  readonly conflicts: readonly TemplateConflict[];
  /** Others have pushed to UPDATE_BRANCH. Their commits stay. */
  readonly isShared: boolean;
}

/**
 * Merges a template's newest version into UPDATE_BRANCH of a project's repository, by a three-way merge
 * against the version that the project has. Git does the merge without a checkout, so nothing in the
 * repository is run. Throws RDEV_TEMPLATE_MERGE if the repository does not let it.
 */
export async function proposeTemplate(remote: Remote, proposal: Proposal): Promise<Proposed> {
  const folder = await mkdtemp(join(tmpdir(), "rdev-template-"));
  try {
    return await new TemplateMerge(folder, remote, proposal).run();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A version of the template as it was rendered for the project. */
interface Base {
  readonly commit: string;
  /** Undefined in a repository that an older version has seeded. */
  readonly version: string | undefined;
}

class TemplateMerge {
  readonly #folder: string;
  readonly #repository: string;
  readonly #empty: string;
  readonly #remote: Remote;
  readonly #proposal: Proposal;

  constructor(folder: string, remote: Remote, proposal: Proposal) {
    this.#folder = folder;
    this.#repository = join(folder, "repository");
    this.#empty = join(folder, "empty");
    this.#remote = remote;
    this.#proposal = proposal;
  }

  async run(): Promise<Proposed> {
    const { branch, record, hasPullRequest } = this.#proposal;
    const refs = await this.#fetch();
    const main = refs.get(`refs/heads/${branch}`)!;
    const tip = refs.get(UPDATE_REF);
    const isShared = tip !== undefined && tip !== refs.get(PUSHED_REF);
    const { version } = (await this.#recordIn(main)) ?? {};
    const result = { version, files: [], conflicts: [], isShared } as const;
    if (version === record.version) return { ...result, state: "current" };
    if (isShared && !hasPullRequest) throw abandoned();

    const onto = isShared ? tip : main;
    const base = await this.#baseOf(onto, refs);
    if (base.version === record.version) return { ...result, state: "unchanged" };
    const rendered = await this.#tree(this.#proposal.files);
    if (base.version === undefined && rendered === (await this.#withRecord(base.commit))) {
      return { ...result, version: record.version, state: "current" };
    }
    const next =
      refs.get(baseRef(record.version)) ??
      (await this.#commit(
        await this.#tree([...this.#proposal.files, recordFile(record)]),
        `The template ${record.template}, version ${record.version}`,
      ));
    const { tree, conflicts } = await this.#merge(base.commit, onto, next);
    const changed = { ...result, conflicts, files: await this.#changedFiles(main, tree) };
    if (tip !== undefined && !isShared && (await this.#isUpToDate(tip, main, tree))) {
      return { ...changed, state: "unchanged" };
    }
    if (!this.#proposal.dryRun) await this.#push({ tree, onto, next, tip, isShared });
    return { ...changed, state: "pushed" };
  }

  /** Fetches the branches and all bases without their history. Returns the commits by their refs. */
  async #fetch(): Promise<ReadonlyMap<string, string>> {
    const { url } = this.#remote;
    const { branch } = this.#proposal;
    await mkdir(this.#repository);
    await mkdir(this.#empty);
    await this.#git("init", "--quiet", "--bare");
    const lines = (await this.#remoteGit("ls-remote", url)).trimEnd().split("\n");
    const refs = new Map(
      lines.map((line): [string, string] => {
        const [commit = "", ref = ""] = line.split("\t");
        return [ref, commit];
      }),
    );
    if (!refs.has(`refs/heads/${branch}`)) {
      throw refused(`The repository has no branch ${branch}.`);
    }
    const wanted = [...refs.keys()].filter(
      (ref) => ref === `refs/heads/${branch}` || ref === UPDATE_REF || ref.startsWith(BASE_REFS),
    );
    const specs = wanted.map((ref) => `+${ref}:refs/remote/${ref}`);
    await this.#remoteGit("fetch", "--quiet", "--no-tags", "--depth=1", url, ...specs);
    return refs;
  }

  /** What a commit says about its template; undefined if it has no such file. */
  async #recordIn(commit: string): Promise<TemplateRecord | undefined> {
    const found = await this.#git("ls-tree", "--object-only", commit, "--", TEMPLATE_RECORD);
    if (found.trim() === "") return undefined;
    const record = parseTemplateRecord(await this.#git("cat-file", "-p", found.trim()));
    if (record) return record;
    throw refused(
      `The file ${TEMPLATE_RECORD} in the repository is damaged. Restore it from an earlier commit, or ` +
        "delete it: the project's first commit is then the base of the merge.",
    );
  }

  /** The base of the merge: the version that the commit contains. */
  async #baseOf(commit: string, refs: ReadonlyMap<string, string>): Promise<Base> {
    const record = await this.#recordIn(commit);
    if (!record) return { commit: await this.#seedCommit(commit), version: undefined };
    const { version } = record;
    const base = refs.get(baseRef(version));
    if (base !== undefined) return { commit: base, version };
    throw refused(
      `The repository contains version ${version} of its template, but ${baseRef(version)} is missing, ` +
        `which the merge needs. Push that ref from a copy of the repository, or delete ` +
        `${TEMPLATE_RECORD}: the project's first commit is then the base of the merge.`,
    );
  }

  /** The first commit, if it is the seed of a version that recorded no base. */
  async #seedCommit(commit: string): Promise<string> {
    const { url } = this.#remote;
    const depth = `--depth=${WHOLE_HISTORY}`;
    const spec = `+${commit}:refs/remote/history`;
    await this.#remoteGit("fetch", "--quiet", "--no-tags", depth, url, spec);
    const format = "--format=%H %ce %s";
    const roots = await this.#git("log", "--max-parents=0", format, "refs/remote/history");
    const seed = roots
      .split("\n")
      .find((line) => line.includes(` ${MANAGED_BY}@localhost ${SEED_SUBJECT}`));
    if (seed !== undefined) return seed.split(" ")[0]!;
    throw refused(
      "The repository's first commit is not from rdev-infra, so the project was not made from a template, " +
        "or its history was rewritten.",
    );
  }

  /** Writes files as a tree. */
  async #tree(files: readonly TemplateFile[]): Promise<string> {
    const folder = await mkdtemp(join(this.#folder, "files-"));
    await writeFiles(folder, files);
    const env = { GIT_INDEX_FILE: `${folder}.index` };
    const git = (...args: string[]) => runLocalGit(this.#repository, args, { env });
    await git(`--work-tree=${folder}`, "add", "--all", "--force");
    return (await git("write-tree")).stdout.trim();
  }

  async #commit(tree: string, message: string, ...parents: string[]): Promise<string> {
    const options = parents.flatMap((parent) => ["-p", parent]);
    return (await this.#git("commit-tree", tree, ...options, "-m", message)).trim();
  }

  /**
   * Git before 2.40 takes no base for a merge. So both sides become children of the base. The record of the
   * version is left out of the merge, so that it never conflicts, and comes back if it was deleted.
   */
  async #merge(base: string, project: string, template: string): Promise<Merged> {
    const root = await this.#commit(await this.#withRecord(base), "base");
    for (const [name, commit] of [
      [OURS, project],
      [THEIRS, template],
    ] as const) {
      const side = await this.#commit(await this.#withRecord(commit), name, root);
      await this.#git("update-ref", `refs/heads/${name}`, side);
    }
    const args = ["merge-tree", "--write-tree", "-z", OURS, THEIRS];
    const { stdout, isAccepted } = await runLocalGit(this.#repository, args, { accept: 1 });
    const { tree, conflicts } = parseMerge(stdout, isAccepted);
    const found = await this.#git("ls-tree", "--object-only", template, "--", TEMPLATE_RECORD);
    return { tree: await this.#withRecord(tree, found.trim()), conflicts };
  }

  /** The tree of a commit or tree with this file as its record, or without a record. */
  async #withRecord(from: string, file?: string): Promise<string> {
    const env = { GIT_INDEX_FILE: join(this.#folder, `${from}.index`) };
    const place = `--work-tree=${this.#empty}`; // git refuses to remove a path without one
    const git = (...args: string[]) => runLocalGit(this.#repository, [place, ...args], { env });
    await git("read-tree", from);
    await (file === undefined
      ? git("update-index", "--force-remove", "--", TEMPLATE_RECORD)
      : git("update-index", "--add", "--cacheinfo", `100644,${file},${TEMPLATE_RECORD}`));
    return (await git("write-tree")).stdout.trim();
  }

  async #changedFiles(commit: string, tree: string): Promise<string[]> {
    const out = await this.#git("diff-tree", "-r", "-z", "--name-only", commit, tree);
    return out.split("\0").filter((path) => path !== "");
  }

  /** Whether our commit at the branch's tip is what a push would replace it with. */
  async #isUpToDate(tip: string, main: string, tree: string): Promise<boolean> {
    const text = await this.#git("cat-file", "commit", tip); // unlike log, shows parents not fetched
    return text.startsWith(`tree ${tree}\nparent ${main}\n`);
  }

  async #push({ tree, onto, next, tip, isShared }: Push): Promise<void> {
    const { url } = this.#remote;
    const { template, version } = this.#proposal.record;
    const message = `Update the template ${template} to version ${version}`;
    const commit = await this.#commit(tree, message, onto);
    const refs = [
      `${commit}:${UPDATE_REF}`,
      `${next}:${baseRef(version)}`,
      // Keeps its old value where others have pushed, so that their commits are never taken for ours.
      ...(isShared ? [] : [`+${commit}:${PUSHED_REF}`]),
    ];
    const lease = `--force-with-lease=${UPDATE_REF}:${tip ?? ""}`;
    try {
      await this.#remoteGit("push", "--quiet", "--atomic", lease, url, ...refs);
    } catch (error) {
      throw pushError(error);
    }
  }

  async #git(...args: string[]): Promise<string> {
    return (await runLocalGit(this.#repository, args)).stdout;
  }

  #remoteGit(...args: string[]): Promise<string> {
    return runGit(this.#repository, this.#remote, args, DEADLINE);
  }
}

interface Merged {
  /** With conflict markers where git could not merge. */
  readonly tree: string;
  readonly conflicts: readonly TemplateConflict[];
}

interface Push {
  readonly tree: string;
  readonly onto: string;
  readonly next: string;
  readonly tip: string | undefined;
  readonly isShared: boolean;
}

/**
 * Reads the output of `git merge-tree -z`: the tree, and after a conflict the files, an empty field, and
 * the messages, each with a count of paths, the paths, a type and a text.
 */
function parseMerge(output: string, hasConflicts: boolean): Merged {
  const fields = output.split("\0");
  const tree = fields[0]!;
  /** By the paths: for a binary file git says first that it is one, and then that it conflicts. */
  const conflicts = new Map<string, TemplateConflict>();
  let at = hasConflicts ? fields.indexOf("") + 1 : Infinity;
  while (at < fields.length - 1) {
    const end = at + 1 + Number(fields[at]);
    const paths = fields.slice(at + 1, end);
    const [type = "", reason = ""] = fields.slice(end, end + 2);
    const key = paths.join("\0");
    if (type.startsWith("CONFLICT") && !conflicts.has(key)) {
      conflicts.set(key, { paths, reason: reason.trim() });
    }
    at = end + 2;
  }
  return { tree, conflicts: [...conflicts.values()] };
}

function pushError(error: unknown): unknown {
  if (!(error instanceof InfraError) || error.code !== "RDEV_REFUSED") return error;
  const { message } = error;
  if (/stale info|failed to update ref|cannot lock ref/.test(message)) {
    return refused(`Somebody pushed to the branch ${UPDATE_BRANCH} meanwhile. Run it again.`);
  }
  return refused(
    `The repository refused the branch ${UPDATE_BRANCH}. If a rule protects it, permit the account of ` +
      `GITEA_TEMPLATE_TOKEN (or GITEA_TOKEN) to push to it. ${message}`,
  );
}

function abandoned(): InfraError {
  return refused(
    `Others have pushed to the branch ${UPDATE_BRANCH}, and it has no open pull request. Open one from it, ` +
      "or delete the branch, then run this again.",
  );
}

function refused(message: string): InfraError {
  return new InfraError("RDEV_TEMPLATE_MERGE", message);
}
