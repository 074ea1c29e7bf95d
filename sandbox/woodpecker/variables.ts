import type { Pipeline, Repo } from "./store.ts";

export interface VariablesOf {
  readonly repo: Repo;
  readonly pipeline: Pipeline;
  /** The pipeline before it on the same branch. */
  readonly previous: Pipeline | undefined;
  /** Woodpecker's own address. */
  readonly url: string;
  /** Gitea's address. */
  readonly forgeUrl: string;
}

/** Longer lists of changed files are left out. */
const MAX_CHANGED_FILES = 500;

/**
 * The variables of every step of a pipeline (pipeline/frontend/metadata/environment.go). Empty ones
 * are left out. The agent adds its own when a step starts.
 */
export function pipelineVariables(of: VariablesOf): Record<string, string> {
  const { repo, pipeline, previous, url, forgeUrl } = of;
  const pageOf = (number: number) => `${url}/repos/${repo.id}/pipeline/${number}`;
  const { network, volumes, security } = repo.trusted;
  return withoutEmpty({
    CI: "woodpecker",
    CI_SYSTEM_NAME: "woodpecker",
    CI_SYSTEM_URL: url,
    CI_SYSTEM_HOST: new URL(url).host,
    CI_SYSTEM_VERSION: pipeline.version,
    CI_FORGE_TYPE: "gitea",
    CI_FORGE_URL: forgeUrl,
    CI_REPO: `${repo.owner}/${repo.name}`,
    CI_REPO_NAME: repo.name,
    CI_REPO_OWNER: repo.owner,
    CI_REPO_REMOTE_ID: repo.forge_remote_id,
    CI_REPO_URL: repo.forge_url,
    CI_REPO_CLONE_URL: repo.clone_url,
    CI_REPO_CLONE_SSH_URL: repo.clone_url_ssh,
    CI_REPO_DEFAULT_BRANCH: repo.default_branch,
    CI_REPO_PRIVATE: String(repo.private),
    CI_REPO_TRUSTED_NETWORK: String(network),
    CI_REPO_TRUSTED_VOLUMES: String(volumes),
    CI_REPO_TRUSTED_SECURITY: String(security),
    CI_REPO_TRUSTED: String(network && volumes && security),
    ...prefixed("CI_", pipeline, pageOf(pipeline.number)),
    CI_PIPELINE_PARENT: String(pipeline.parent),
    CI_STEP_NUMBER: "0", // as in the real server, which never sets it
    CI_STEP_URL: pageOf(pipeline.number),
    CI_PIPELINE_FILES: changedFiles(pipeline.changed_files ?? []),
    CI_PREV_PIPELINE_PARENT: "0",
    ...(previous
      ? prefixed("CI_PREV_", previous, pageOf(previous.number))
      : withoutPrevious(pageOf(0))),
    CI_PREV_COMMIT_URL: previous?.forge_url ?? "",
    CI_PREV_PIPELINE_STATUS: previous?.status ?? "",
    CI_PREV_PIPELINE_FINISHED: String(previous?.finished ?? 0),
  });
}

function prefixed(prefix: string, one: Pipeline, page: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries({
      PIPELINE_NUMBER: String(one.number),
      PIPELINE_EVENT: one.event,
      PIPELINE_EVENT_REASON: one.event_reason?.join(",") ?? "",
      PIPELINE_URL: page,
      PIPELINE_FORGE_URL: one.forge_url,
      PIPELINE_DEPLOY_TARGET: one.deploy_to,
      PIPELINE_DEPLOY_TASK: one.deploy_task,
      PIPELINE_CREATED: String(one.created),
      PIPELINE_STARTED: String(one.started),
      PIPELINE_AUTHOR: one.author,
      PIPELINE_AVATAR: one.author_avatar,
      COMMIT_SHA: one.commit,
      COMMIT_REF: one.ref,
      COMMIT_REFSPEC: one.refspec,
      COMMIT_MESSAGE: one.message,
      COMMIT_BRANCH: one.branch,
      COMMIT_TIMESTAMP: String(one.timestamp),
      COMMIT_AUTHOR: one.author,
      COMMIT_AUTHOR_EMAIL: one.author_email,
      COMMIT_AUTHOR_AVATAR: one.author_avatar,
    }).map(([name, value]) => [`${prefix}${name}`, value]),
  );
}

/** The zero values of Go that the real server answers for a branch's first pipeline. */
function withoutPrevious(page: string): Record<string, string> {
  return {
    CI_PREV_PIPELINE_NUMBER: "0",
    CI_PREV_PIPELINE_URL: page,
    CI_PREV_PIPELINE_CREATED: "0",
    CI_PREV_PIPELINE_STARTED: "0",
    CI_PREV_COMMIT_TIMESTAMP: "0",
  };
}

function changedFiles(files: readonly string[]): string {
  return files.length > MAX_CHANGED_FILES ? "" : JSON.stringify(files);
}

function withoutEmpty(variables: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
}
