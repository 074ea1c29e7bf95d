import { z } from "zod";

// The events of a pull request, as Gitea and GitHub both send them. The header that names the kind of
// event is not signed, so the signed body alone decides.

const commit = z.string().regex(/^[0-9a-f]{40,64}$/);
/** By the host's clock. */
const time = z.iso.datetime({ offset: true });
const account = z.object({ login: z.string(), type: z.string().optional() });

const commentPayload = z.object({
  action: z.literal("created"),
  /** Gitea sets `is_pull`; GitHub sets `issue.pull_request`. */
  is_pull: z.boolean().optional(),
  issue: z.object({ number: z.int().min(1), pull_request: z.looseObject({}).nullish() }),
  comment: z.object({
    id: z.int(),
    body: z.string(),
    created_at: time,
    user: account,
  }),
});

const pullPayload = z.object({
  action: z.string().optional(),
  pull_request: z.object({
    number: z.int().min(1),
    head: z.object({ sha: commit }),
    updated_at: time,
    merged: z.boolean().nullish(),
  }),
  /** The account that caused the event. If `action` is `closed`, it closed or merged the pull request. */
  sender: account.nullish(),
  /** GitHub names the reviewed commit; Gitea sends the head of that time as `pull_request.head`. */
  review: z
    .object({
      type: z.string().optional(),
      state: z.string().optional(),
      commit_id: commit.nullish(),
    })
    .nullish(),
});

const repositoryPayload = z.object({ repository: z.object({ full_name: z.string() }) });

/** A person asks in a comment. */
export interface Asked {
  readonly kind: "asked";
  readonly number: number;
  readonly command: "preview" | "rollout";
  /** The commit that the comment names; undefined: the one that the branch had at that time. */
  readonly commit: string | undefined;
  readonly by: string;
  /** False for machine accounts, if the host knows them. */
  readonly isPerson: boolean;
  /** By the host's clock, in ISO 8601. */
  readonly at: string;
}

/** An approving review, which the host has to confirm. */
export interface Approved {
  readonly kind: "approved";
  readonly number: number;
  readonly commit: string;
}

/** The branch of a pull request was at this commit. */
export interface HeadSeen {
  readonly kind: "head";
  readonly number: number;
  readonly commit: string;
  /** By the host's clock, in ISO 8601. */
  readonly at: string;
}

/** Somebody has merged the pull request. The host has to confirm it. */
export interface Merged {
  readonly kind: "merged";
  readonly number: number;
  readonly by: string;
}

/** An event that asks for something. */
export type PreviewRequest = Asked | Approved | Merged;

export type ForgeEvent = PreviewRequest | HeadSeen;

/** The repository that a payload is about: `owner/name`. Undefined if it names none. */
export function repositoryOf(payload: unknown): string | undefined {
  return repositoryPayload.safeParse(payload).data?.repository.full_name;
}

/** The events in a payload; empty if it is about nothing that matters here. */
export function eventsOf(payload: unknown): ForgeEvent[] {
  const comment = commentPayload.safeParse(payload).data;
  if (comment) return askedIn(comment);
  const pull = pullPayload.safeParse(payload).data;
  if (!pull) return [];
  const { number, head, updated_at: at } = pull.pull_request;
  const seen: HeadSeen = { kind: "head", number, commit: head.sha, at };
  if (pull.action === "closed" && pull.pull_request.merged && pull.sender) {
    return [{ kind: "merged", number, by: pull.sender.login }];
  }
  if (!isApproval(pull.review)) return [seen];
  return [seen, { kind: "approved", number, commit: pull.review?.commit_id ?? head.sha }];
}

function isApproval(review: z.output<typeof pullPayload>["review"]): boolean {
  return review?.state?.toLowerCase() === "approved" || /_approved$/.test(review?.type ?? "");
}

/** Only a comment that is nothing but the command asks: a quoted one does not. */
const COMMAND = /^\/(preview|rollout)(?:\s+([0-9a-f]{40,64}))?\s*$/;

function askedIn({ is_pull: isPull, issue, comment }: z.output<typeof commentPayload>): Asked[] {
  const [, command, sha] = COMMAND.exec(comment.body.trim()) ?? [];
  if (!(isPull ?? false) && !issue.pull_request) return [];
  if (command !== "preview" && command !== "rollout") return [];
  return [
    {
      kind: "asked",
      number: issue.number,
      command,
      commit: sha,
      by: comment.user.login,
      isPerson: (comment.user.type ?? "User") === "User",
      at: comment.created_at,
    },
  ];
}
