import pLimit from "p-limit";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import {
  renderFile,
  TEMPLATE_VARIABLES,
  type TemplateValues,
  templateVersion,
} from "../../core/template.ts";
import { pullRequestText } from "../../core/template-pull-request.ts";
import {
  type TemplateSeedRecord,
  type TemplateUpdate,
  UPDATE_BRANCH,
} from "../../core/template-update.ts";
import { type Proposed, proposeTemplate } from "../../providers/git/template-merge.ts";
import { listTemplates, readTemplate, type Template } from "../../providers/git/template.ts";
import { Gitea, type GiteaRepository } from "../../providers/gitea/client.ts";
import { audited, type AuditLog, auditLog } from "../audit/log.ts";
import { Projects } from "../store/projects.ts";
import type { Store } from "../store/store.ts";

/** Each one fetches a repository, merges and pushes. Others wait. */
const CONCURRENCY = 2;

interface TemplateUpdatesOptions {
  /** Default: the store's. */
  readonly audit?: AuditLog;
  /** The folder with the templates. Default: this package's. */
  readonly templates?: string;
}

export interface UpdateOptions {
  /** The caller: the name of a key, or a person. */
  readonly actor: string;
  readonly dryRun: boolean;
}

/**
 * Brings new versions of templates to projects, by pull requests in their repositories. An update that
 * is interrupted leaves at most a branch without a pull request: the same call again continues.
 */
export class TemplateUpdates {
  readonly #store: Store;
  readonly #projects: Projects;
  readonly #audit: AuditLog;
  readonly #templates: string | undefined;
  readonly #limit = pLimit(CONCURRENCY);

  constructor(store: Store, { audit = auditLog(store), templates }: TemplateUpdatesOptions = {}) {
    this.#store = store;
    this.#projects = new Projects(store);
    this.#audit = audit;
    this.#templates = templates;
  }

  /** The templates that new projects can have. */
  list(): readonly Template[] {
    return listTemplates(this.#templates);
  }

  /**
   * Opens or changes the pull request that brings a project's template to the newest version. Changes
   * nothing if the project has it. Rejects with RDEV_NOT_FOUND; RDEV_BUSY if another update of the
   * project runs; RDEV_TEMPLATE_MERGE, RDEV_GONE and RDEV_NOT_OURS if the repository does not let it.
   */
  async update(slug: string, options: UpdateOptions): Promise<TemplateUpdate> {
    const project = await this.#projects.find(slug);
    if (!project) throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
    const { templateSeed: seed, platform } = project;
    if (!seed) throw notRecorded(slug);
    const done = await this.#limit(() =>
      this.#store.unlessRunning(`template of ${platform}.${slug}`, () =>
        this.#record(slug, seed, options),
      ),
    );
    if (done) return done;
    const text = `Another update of the template of "${slug}" runs. Wait until it has ended.`;
    throw new InfraError("RDEV_BUSY", text);
  }

  /** Records the intent and the result in the audit trail. A dry run has none. */
  #record(slug: string, seed: TemplateSeedRecord, { actor, dryRun }: UpdateOptions) {
    if (dryRun) return this.#update(slug, seed, dryRun);
    const { template, repository } = seed;
    return audited(
      this.#audit,
      {
        action: "project.template-update",
        projectId: slug,
        actor,
        component: "infra",
        details: { template, repository },
      },
      () => this.#update(slug, seed, dryRun),
      ({ result, version, newest, pullRequest, conflicts }) => ({
        result: "success",
        details: { result, version, newest, pullRequest, conflicts: conflicts.length },
      }),
    );
  }

  async #update(slug: string, seed: TemplateSeedRecord, dryRun: boolean): Promise<TemplateUpdate> {
    const account = connection("giteaTemplates");
    const gitea = new Gitea(account);
    const values = valuesOf(slug, seed);
    const files = readTemplate(seed.template, this.#templates);
    const record = { template: seed.template, version: templateVersion(files) };
    const repository = await repositoryOf(gitea, seed, account.variable);
    const [owner, name] = nameOf(repository);
    const { default_branch: branch, clone_url: url } = repository;
    const newestPull = await gitea.pullRequest(owner, name, branch, UPDATE_BRANCH);
    const open = newestPull?.isOpen ? newestPull : undefined;
    const proposed = await proposeTemplate(
      { url, token: account.token },
      {
        branch,
        record,
        files: files.map((file) => renderFile(file, values)),
        hasPullRequest: open !== undefined,
        dryRun,
      },
    );
    const { version, conflicts } = proposed;
    const result = resultOf(proposed, open !== undefined);
    const text = pullRequestText({ record, before: version, conflicts });
    let pull = open;
    if (result === "opened" && !dryRun) {
      const branches = { base: branch, head: UPDATE_BRANCH };
      pull = await gitea.openPullRequest(owner, name, { ...text, ...branches });
    } else if (result === "updated" && !dryRun && open) {
      await gitea.editPullRequest(owner, name, open.number, text);
    }
    const found = {
      ...(version !== undefined && { version }),
      ...(pull && { pullRequest: { number: pull.number, url: pull.url } }),
    };
    const { repositoryId } = seed;
    await this.#projects.update(slug, { template: { repositoryId, ...found } });
    return {
      slug,
      template: seed.template,
      result,
      dryRun,
      ...found,
      newest: record.version,
      files: [...proposed.files],
      conflicts: [...conflicts],
    };
  }
}

/** A branch without an open pull request is left by an update that was interrupted, or a person closed it. */
function resultOf({ state }: Proposed, hasPullRequest: boolean): TemplateUpdate["result"] {
  if (state === "current") return "current";
  if (!hasPullRequest) return "opened";
  return state === "pushed" ? "updated" : "unchanged";
}

/** The project's repository. Throws if it is gone, was moved by hand, or is archived. */
async function repositoryOf(
  gitea: Gitea,
  { repository: name, repositoryId }: TemplateSeedRecord,
  variable: string,
): Promise<GiteaRepository> {
  const found = await gitea.repositoryById(repositoryId);
  if (!found) {
    throw new InfraError(
      "RDEV_GONE",
      `The Gitea repository ${name} is gone, or the account of ${variable} may not see it.`,
    );
  }
  if (nameOf(found)[0].toLowerCase() !== name.split("/")[0]?.toLowerCase()) {
    throw new InfraError(
      "RDEV_NOT_OURS",
      `The Gitea repository ${name} was moved to ${found.full_name} by hand. Move it back.`,
    );
  }
  if (!found.archived) return found;
  throw new InfraError(
    "RDEV_TEMPLATE_MERGE",
    `The Gitea repository ${found.full_name} is archived, so it takes no pull request.`,
  );
}

/** Throws if the newest version of rdev-infra has variables that the project's last `up` did not know. */
function valuesOf(slug: string, { values }: TemplateSeedRecord): TemplateValues {
  if (isComplete(values)) return values;
  throw notRecorded(slug);
}

function isComplete(values: Readonly<Record<string, string>>): values is TemplateValues {
  return Object.keys(TEMPLATE_VARIABLES).every((name) => Object.hasOwn(values, name));
}

function notRecorded(slug: string): InfraError {
  return new InfraError(
    "RDEV_TEMPLATE_MERGE",
    `The last up of "${slug}" was by an older version, which did not record the values of the template's ` +
      "variables. Bring it up once, then run this again.",
  );
}

function nameOf({ full_name: fullName }: GiteaRepository): [string, string] {
  const [owner = "", name = ""] = fullName.split("/");
  return [owner, name];
}
