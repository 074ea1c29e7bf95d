import { problems } from "../errors.ts";

/** Where a report is to be told. */
export interface CommentTarget {
  readonly forge: "gitea" | "github";
  /** The API's address, without a trailing slash. */
  readonly url: string;
  readonly owner: string;
  readonly repository: string;
  readonly number: number;
  /** In full. */
  readonly commit: string;
  /** The run's page. */
  readonly runUrl?: string | undefined;
}

/** What a person or a pipeline says instead of the CI's variables. */
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
 * The pull request of this run, from the variables of Woodpecker, GitHub Actions or Gitea Actions.
 * `headOfEvent` is the branch's commit in GitHub's event: GITHUB_SHA is a merge. Throws RDEV_SETTINGS
 * with all that is missing.
 */
export function commentTarget(
  env: Environment,
  overrides: Overrides = {},
  headOfEvent?: string,
): CommentTarget {
  const ci = env["GITHUB_ACTIONS"] === "true" ? ofActions(env, headOfEvent) : ofWoodpecker(env);
  const said: Overrides = Object.fromEntries(
    Object.entries(overrides).filter(([, value]) => value !== undefined && value !== ""),
  );
  const {
    forge: kind,
    forgeUrl = "",
    repository = "",
    pullRequest = "",
    commit = "",
    reportUrl,
  } = {
    ...ci,
    ...said,
  };
  const forge = kind === "forgejo" ? "gitea" : kind;
  const [, owner = "", name = ""] = /^([^/\s]+)\/([^/\s]+)$/.exec(repository) ?? [];
  const wrong = [
    ...(forge === "gitea" || forge === "github"
      ? []
      : [`--forge: "${forge ?? ""}" is neither gitea nor github`]),
    ...(/^https?:\/\/\S+$/.test(forgeUrl) ? [] : [`--forge-url: "${forgeUrl}" is no URL`]),
    ...(owner === "" ? [`--repository: "${repository}" is not of the form owner/name`] : []),
    ...(/^[1-9]\d*$/.test(pullRequest) ? [] : [`--pull-request: "${pullRequest}" is no number`]),
    ...(/^[0-9a-f]{40,64}$/.test(commit) ? [] : [`--commit: "${commit}" is no commit in full`]),
  ];
  if (wrong.length > 0 || (forge !== "gitea" && forge !== "github")) {
    const head =
      "The pull request to comment on is not known; CI's variables, or these options, say it:";
    throw problems("RDEV_SETTINGS", head, wrong);
  }
  const url = forgeUrl.replace(/\/+$/, "");
  return {
    forge,
    url: forge === "github" ? githubApi(url) : url,
    owner,
    repository: name,
    number: Number(pullRequest),
    commit,
    runUrl: reportUrl,
  };
}

/** https://woodpecker-ci.org/docs/usage/environment */
function ofWoodpecker(env: Environment): Overrides {
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
function ofActions(env: Environment, head: string | undefined): Overrides {
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

/** The API of github.com, or of an enterprise server. */
function githubApi(url: string): string {
  if (url === "https://github.com") return "https://api.github.com";
  return /^https?:\/\/api\.|\/api\/v3$/.test(url) ? url : `${url}/api/v3`;
}
