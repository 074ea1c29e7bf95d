import { problems } from "../errors.ts";

/** A pull request and its location. */
export interface PullRequestTarget {
  readonly forge: "gitea" | "github";
  /** The API's URL, without a trailing slash. */
  readonly url: string;
  readonly owner: string;
  readonly repository: string;
  /** The URL for git over HTTP, without credentials. */
  readonly cloneUrl: string;
  readonly number: number;
  /** The URL of the CI run. */
  readonly runUrl?: string | undefined;
}

/** The pull request and commit that a report is published on. */
export interface CommentTarget extends PullRequestTarget {
  /** The full SHA. */
  readonly commit: string;
}

/** Options that take precedence over CI's variables. */
export interface Overrides {
  readonly forge?: string | undefined;
  readonly forgeUrl?: string | undefined;
  /** `owner/name`. */
  readonly repository?: string | undefined;
  readonly pullRequest?: string | undefined;
  readonly commit?: string | undefined;
  readonly reportUrl?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the pull request of this run in the variables of Woodpecker, GitHub Actions or Gitea Actions.
 * `headOfEvent` is the branch's commit from GitHub's event, because GITHUB_SHA is a merge commit. Throws
 * RDEV_SETTINGS with everything that is missing.
 */
export function commentTarget(
  env: Environment,
  overrides: Overrides = {},
  headOfEvent?: string,
): CommentTarget {
  const values = collected(env, overrides, headOfEvent);
  const { commit = "" } = values;
  return { ...targetOf(values, commit), commit };
}

/**
 * The same for a run on another commit than the pull request's, such as a run of the default branch.
 * CI's variables name the repository, and only the options name the commit.
 */
export function pullRequestTarget(
  env: Environment,
  overrides: Overrides = {},
): PullRequestTarget & { readonly commit?: string } {
  const { commit } = overrides;
  const target = targetOf(collected(env, overrides, undefined), commit);
  return { ...target, ...(commit !== undefined && { commit }) };
}

function collected(env: Environment, overrides: Overrides, head: string | undefined): Overrides {
  const ci =
    env["GITHUB_ACTIONS"] === "true" ? actionsVariables(env, head) : woodpeckerVariables(env);
  const filled = Object.entries(overrides).filter(
    ([, value]) => value !== undefined && value !== "",
  );
  return { ...ci, ...Object.fromEntries(filled) };
}

/** Reads the target, and checks the commit if there is one. */
function targetOf(values: Overrides, commit: string | undefined): PullRequestTarget {
  const { forge: kind, forgeUrl = "", repository = "", pullRequest = "", reportUrl } = values;
  const forge = kind === "forgejo" ? "gitea" : kind;
  const [, owner = "", name = ""] = /^([^/\s]+)\/([^/\s]+)$/.exec(repository) ?? [];
  const wrong = [
    ...(forge === "gitea" || forge === "github"
      ? []
      : [`--forge: "${forge ?? ""}" is neither gitea nor github`]),
    ...(/^https?:\/\/\S+$/.test(forgeUrl) ? [] : [`--forge-url: "${forgeUrl}" is not a URL`]),
    ...(owner === "" ? [`--repository: "${repository}" is not of the form owner/name`] : []),
    ...(/^[1-9]\d*$/.test(pullRequest) ? [] : [`--pull-request: "${pullRequest}" is not a number`]),
    ...(commit === undefined || /^[0-9a-f]{40,64}$/.test(commit)
      ? []
      : [`--commit: "${commit}" is not a full commit SHA`]),
  ];
  if (wrong.length > 0 || (forge !== "gitea" && forge !== "github")) {
    const head = "The pull request is unknown. Set it by CI's variables or these options:";
    throw problems("RDEV_SETTINGS", head, wrong);
  }
  const url = forgeUrl.replace(/\/+$/, "");
  const web = forge === "github" ? githubWeb(url) : url;
  return {
    forge,
    url: forge === "github" ? githubApi(url) : url,
    owner,
    repository: name,
    cloneUrl: `${web}/${owner}/${name}.git`,
    number: Number(pullRequest),
    runUrl: reportUrl,
  };
}

/** https://woodpecker-ci.org/docs/usage/environment */
function woodpeckerVariables(env: Environment): Overrides {
  return {
    forge: env["CI_FORGE_TYPE"],
    forgeUrl: env["CI_FORGE_URL"],
    repository: env["CI_REPO"],
    pullRequest: env["CI_COMMIT_PULL_REQUEST"],
    commit: env["CI_COMMIT_SHA"],
    reportUrl: env["CI_PIPELINE_URL"],
  };
}

/** https://docs.github.com/actions/reference/workflows-and-actions/variables; Gitea has the same. */
function actionsVariables(env: Environment, head: string | undefined): Overrides {
  const { GITHUB_REPOSITORY: repository, GITHUB_SERVER_URL: forgeUrl, GITHUB_RUN_ID: run } = env;
  return {
    forge: env["GITEA_ACTIONS"] === "true" ? "gitea" : "github",
    forgeUrl,
    repository,
    pullRequest: /^refs\/pull\/(\d+)\//.exec(env["GITHUB_REF"] ?? "")?.[1],
    commit: head ?? env["GITHUB_SHA"],
    reportUrl: run && `${forgeUrl}/${repository}/actions/runs/${run}`,
  };
}

/** The API's URL of github.com or of an enterprise server. */
function githubApi(url: string): string {
  if (url === "https://github.com") return "https://api.github.com";
  return /^https?:\/\/api\.|\/api\/v3$/.test(url) ? url : `${url}/api/v3`;
}

/** The URL for browsers and git. */
function githubWeb(url: string): string {
  if (url === "https://api.github.com") return "https://github.com";
  return url.replace(/\/api\/v3$/, "");
}
