import { z } from "zod";

export const mergedRolloutState = z
  .enum(["waiting", "planned", "refused", "superseded", "expired", "cancelled"])
  .meta({
    id: "RolloutRequestState",
    description:
      "`waiting`: no service of its version has planned it yet. The others are final. `planned`: its " +
      "rollout is `rollout`. `refused`: no rollout was possible. `superseded`: a newer request took its " +
      "place. `expired`: it waited for 7 days. `cancelled`: by a caller.",
  });

export type MergedRolloutState = z.output<typeof mergedRolloutState>;

/** A request to roll out a merged pull request. It waits until the service has its version of the program. */
export const mergedRollout = z
  .object({
    /** Version 7, so ids sort by time. */
    id: z.uuid(),
    platform: z.string().meta({ examples: ["staging"] }),
    pullRequest: z.int().meta({ description: "The number of the pull request.", examples: [7] }),
    commit: z.string().meta({ description: "The full SHA of the commit in the target branch." }),
    version: z.string().meta({
      description: "The version of the program at that commit.",
      examples: ["0.1.0+3f2a9c1b0d4e"],
    }),
    state: mergedRolloutState,
    reason: z.string().optional().meta({ description: "Why it ended without a rollout." }),
    actor: z.string().meta({ description: "Who asked.", examples: ["user:ada"] }),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().meta({ description: "Until when it waits." }),
    endedAt: z.iso.datetime().optional(),
    rollout: z.uuid().optional().meta({ description: "The rollout that was planned for it." }),
  })
  .meta({ id: "RolloutRequest", description: "A request to roll out a merged pull request." });

export type MergedRollout = z.output<typeof mergedRollout>;
