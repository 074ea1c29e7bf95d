import { pullRequestTarget } from "../../core/previews/ci.ts";
import type { PreviewSettings } from "../../core/previews/settings.ts";
import { openPullRequest } from "./forge-host.ts";
import { Previewer, type PreviewerOptions } from "./previewer.ts";
import { runPreview } from "./run-preview.ts";

/** The previewer of a repository, with the token of GITEA_COMMENT_TOKEN or GITHUB_TOKEN. */
export function previewer(
  { forge, url, repository }: PreviewSettings,
  options: Pick<PreviewerOptions, "store" | "audit" | "log">,
): Previewer {
  const targetOf = (number: number) =>
    pullRequestTarget({}, { forge, forgeUrl: url, repository, pullRequest: String(number) });
  return new Previewer({
    ...options,
    host: (number) => openPullRequest(targetOf(number)).host,
    preview: (pull, use, signal) => {
      const target = targetOf(pull.number);
      const { token } = openPullRequest(target);
      return runPreview(pull, { remote: { url: target.cloneUrl, token }, signal }, use);
    },
  });
}
