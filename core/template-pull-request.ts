import { code } from "./previews/markdown.ts";
import { type TemplateConflict, type TemplateRecord, UPDATE_BRANCH } from "./template-update.ts";

/** Gitea and GitHub take longer texts, but nobody reads more in a pull request. */
const MAX_CONFLICTS = 100;

interface Update {
  readonly record: TemplateRecord;
  /** The version in the branch that the pull request would be merged into, if it is known. */
  readonly before: string | undefined;
  readonly conflicts: readonly TemplateConflict[];
}

/** The title and the text of the pull request with an update of a project's template. */
export function pullRequestText({ record, before, conflicts }: Update): {
  readonly title: string;
  readonly body: string;
} {
  const { template, version } = record;
  const from = before === undefined ? "the project's first commit" : `version ${before}`;
  return {
    title: `Update the template ${template} to version ${version}`,
    body: [
      `The template ${code(template)} of this project has changed. This merges its version ${version} into ` +
        `the project's files. The base of the merge is ${from}.`,
      ...conflictLines(conflicts),
      `Change what you like on the branch ${code(UPDATE_BRANCH)}: later updates keep your commits. While it ` +
        "has none of yours, a later update replaces it.",
    ].join("\n\n"),
  };
}

function conflictLines(conflicts: readonly TemplateConflict[]): string[] {
  if (conflicts.length === 0) return [];
  const shown = conflicts.slice(0, MAX_CONFLICTS).map(({ reason }) => `- ${code(reason)}`);
  const more = conflicts.length - shown.length;
  return [
    `**${conflicts.length} ${conflicts.length === 1 ? "conflict" : "conflicts"}: resolve them before you ` +
      "merge.** Text files have conflict markers: `project` is this repository, `template` the new version. " +
      "The project's version of a binary file is kept.",
    [...shown, ...(more > 0 ? [`- and ${more} more`] : [])].join("\n"),
  ];
}
