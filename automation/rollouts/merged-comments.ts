import { userMessage } from "../../core/errors.ts";
import { short } from "../../core/previews/approval.ts";
import { code } from "../../core/previews/markdown.ts";
import { backoff, repeat } from "../retry.ts";
import type { MergedRolloutRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { claimComment, postponeComment } from "./merged-table.ts";

/** In ms: how often due comments are looked for. */
const POLL = 5_000;
/** In ms: longer than a call of the forge may take. */
const LEASE = 120_000;
/** In ms: the waits between attempts. */
const WAITS = { first: 10_000, longest: 3_600_000, max: 3_600_000 };
/** In ms after the end of the request: then its comment is given up. */
const MAX_AGE = 24 * 60 * 60_000;

interface MergedCommentsOptions {
  readonly store: Store;
  readonly platform: string;
  /** Comments on a pull request. */
  readonly comment: (number: number, text: string) => Promise<unknown>;
  readonly log: { warn(fields: object, text: string): void };
}

/**
 * Comments on the pull requests how requests for rollouts ended. A forge that cannot be reached delays only
 * the comments. A comment can appear twice, if a replica dies at the wrong moment.
 */
export class MergedComments {
  readonly #options: MergedCommentsOptions;

  constructor(options: MergedCommentsOptions) {
    this.#options = options;
  }

  /** Works until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await repeat(signal, async () => ((await this.postNext()) ? 0 : POLL));
  }

  /** Tries one comment that is due. Returns false if there is none. Never rejects. */
  async postNext(): Promise<boolean> {
    const { store, platform } = this.#options;
    try {
      const due = await claimComment(store, platform, LEASE);
      if (due) await this.#post(due);
      return due !== undefined;
    } catch (error) {
      this.#warn({}, userMessage(error));
      return false;
    }
  }

  async #post(row: MergedRolloutRow): Promise<void> {
    const { store, comment } = this.#options;
    const { id, number, ended_at: endedAt, comment_attempts: attempts } = row;
    try {
      await comment(number, commentOn(row));
    } catch (error) {
      const isOld = Date.now() - (endedAt?.getTime() ?? 0) > MAX_AGE;
      this.#warn(
        { pull_request: number, attempts },
        `the comment ${isOld ? "is given up" : "could not be posted"}: ${userMessage(error)}`,
      );
      return postponeComment(store, id, isOld ? undefined : backoff(WAITS, attempts));
    }
    await postponeComment(store, id);
  }

  #warn(fields: object, text: string): void {
    this.#options.log.warn({ component: "rollouts", ...fields }, text);
  }
}

function commentOn({ commit, version, rollout_id: rollout, reason }: MergedRolloutRow): string {
  if (rollout === null) return `No rollout of ${short(commit)}: ${code(reason ?? "")}`;
  return [
    `The rollout of ${short(commit)}, version \`${version}\`, is planned. Look at its plan, and approve it:`,
    "",
    "```sh",
    `rdev-infra rollout approve ${rollout}`,
    "```",
  ].join("\n");
}
