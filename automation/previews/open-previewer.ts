import { pullRequestTarget } from "../../core/previews/ci.ts";
import type { PreviewSettings } from "../../core/previews/settings.ts";
import type { MergedRollouts } from "../rollouts/merged.ts";
import { openPullRequest } from "./forge-host.ts";
import { mergedVersion } from "./merged-version.ts";
import { Previewer, type PreviewerOptions } from "./previewer.ts";
import { runPreview } from "./run-preview.ts";

interface OpenOptions extends Pick<PreviewerOptions, "store" | "audit" | "log"> {
  readonly rollouts: MergedRollouts;
}

/** The previewer of a repository, with the token of GITEA_COMMENT_TOKEN or GITHUB_TOKEN. */
export function previewer(
  settings: PreviewSettings,
  { rollouts, ...options }: OpenOptions,
): Previewer {
  const remoteOf = (number: number) => {
    const target = targetOf(settings, number);
    return { url: target.cloneUrl, token: openPullRequest(target).token };
  };
  return new Previewer({
    ...options,
    host: (number) => openPullRequest(targetOf(settings, number)).host,
    preview: (pull, use, signal) =>
      runPreview(pull, { remote: remoteOf(pull.number), signal }, use),
    rolloutOnMerge: settings.rolloutOnMerge,
    rollout: async (merged) => {
      const version = await mergedVersion(remoteOf(merged.number), merged);
      return rollouts.request({ ...merged, version });
    },
  });
}

/** Comments on pull requests of the repository. */
export function commenter(settings: PreviewSettings) {
  return (number: number, text: string) =>
    openPullRequest(targetOf(settings, number)).host.post(text);
}

function targetOf({ forge, url, repository }: PreviewSettings, number: number) {
  return pullRequestTarget({}, { forge, forgeUrl: url, repository, pullRequest: String(number) });
}
