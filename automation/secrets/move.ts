import { availableParallelism, hostname } from "node:os";
import pLimit from "p-limit";
import { InfraError, userMessage } from "../../core/errors.ts";
import type { AuditedResult } from "../audit/log.ts";
import { backendStacks } from "../engine/backend-stacks.ts";
import type { CommandControl } from "../engine/command.ts";
import { findSecrets, haveProvider, requireReadable } from "./readable.ts";
import { reencrypt, requireProvider } from "./reencrypt.ts";

/** A stack of the platform, and how its secrets are encrypted now. */
export interface PlannedMove {
  readonly stack: string;
  /** `passphrase`, or the URL of a key. */
  readonly from: string;
  /** Its state and its file, if there is one, have the wanted provider already. */
  readonly isMoved: boolean;
}

export interface MovedStack extends Omit<PlannedMove, "isMoved"> {
  readonly result: "moved" | "unchanged" | "locked" | "failed";
  /** Why it is not moved, or not readable. */
  readonly problem?: string;
}

/** The stack keeps its provider until the move is run again. */
export function isLeft({ result }: Pick<MovedStack, "result">): boolean {
  return result === "locked" || result === "failed";
}

/** The move in the audit log. An interrupted one is a failure: it leaves stacks that it does not name. */
export function auditOfMove(
  moved: readonly MovedStack[],
  { aborted }: Pick<AbortSignal, "aborted">,
): AuditedResult {
  return {
    result: aborted || moved.some(isLeft) ? "failure" : "success",
    details: { stacks: moved.map(({ stack, from, result }) => ({ stack, from, result })) },
  };
}

interface MoveOptions extends Pick<CommandControl, "signal" | "kill"> {
  readonly platform: string;
  /** `passphrase`, or the URL of a key. */
  readonly provider: string;
  /** Holds `Pulumi.yaml` and the stacks' files. */
  readonly workDir: string;
  /** Called with each stack when it is done. Must not throw. */
  readonly onDone?: (moved: MovedStack) => void;
}

type Target = Pick<MoveOptions, "platform" | "provider" | "workDir">;

/**
 * The stacks of the platform, itself first. Changes nothing. Throws an InfraError, also if the provider
 * cannot be used.
 */
export async function planMove({ platform, provider, workDir }: Target): Promise<PlannedMove[]> {
  await requireProvider(provider, workDir);
  return stacksOf({ platform, provider, workDir });
}

/**
 * Moves all stacks of a platform to a secrets provider, and checks that each can be read with it alone.
 * A stack that is locked or fails is left, and the others go on. It can be interrupted or killed at any
 * time: run again, it moves the rest. Throws an InfraError if nothing was done.
 *
 * The platform comes first, because new projects take its provider. Those that were made meanwhile with
 * the old one are found at the end.
 */
export async function moveSecrets(options: MoveOptions): Promise<MovedStack[]> {
  const { platform, provider, workDir, signal, onDone } = options;
  await requireProvider(provider, workDir);
  const done = new Map<string, MovedStack>();
  const limit = pLimit(availableParallelism());
  const moveAll = (stacks: readonly PlannedMove[]) =>
    limit.map(stacks, async (each) => {
      if (signal?.aborted) return;
      const moved = await moveOne(each, options);
      done.set(each.stack, moved);
      onDone?.(moved);
    });
  for (;;) {
    const found = await stacksOf({ platform, provider, workDir });
    const left = found.filter(({ stack }) => !done.has(stack));
    if (left.length === 0 || signal?.aborted) return [...done.values()];
    await moveAll(left.filter(({ stack }) => stack === platform));
    await moveAll(left.filter(({ stack }) => stack !== platform));
  }
}

async function stacksOf({ platform, provider, workDir }: Target): Promise<PlannedMove[]> {
  const stacks = (await backendStacks(workDir)).filter(({ name }) => name.platform === platform);
  if (stacks.length === 0) {
    throw new InfraError(
      "RDEV_PLATFORM",
      `The backend has no stack of the platform "${platform}", so there is nothing to move.`,
    );
  }
  return pLimit(availableParallelism()).map(stacks, async ({ stack }) => {
    const found = await findSecrets(stack, workDir);
    const from = found.state?.provider ?? "nothing";
    return { stack, from, isMoved: haveProvider(found, provider) };
  });
}

async function moveOne(
  { stack, from, isMoved }: PlannedMove,
  { provider, workDir, signal, kill }: MoveOptions,
): Promise<MovedStack> {
  const own = new Set<number>();
  let isLocked = false;
  let wasKilled = false;
  const attempt = () =>
    reencrypt(stack, provider, {
      workDir,
      signal,
      kill,
      onStart: (pid) => own.add(pid),
      onKilled: () => (wasKilled = true),
      mayBreakLocks: (holders) => {
        isLocked = !holders.every(({ host, pid }) => host === hostname() && own.has(pid));
        return Promise.resolve(!isLocked);
      },
    });
  try {
    if (!isMoved) {
      let outcome = await attempt();
      // An engine that something killed leaves its lock, which nobody else could tell from a live one.
      if (wasKilled && !kill?.aborted) outcome = await attempt();
      if (outcome.result !== "succeeded") {
        const reasons = outcome.errors.map(({ message }) => message);
        const problem = reasons.join("\n") || "it was interrupted";
        return { stack, from, result: isLocked ? "locked" : "failed", problem };
      }
    }
    await requireMoved(stack, provider, workDir);
    return { stack, from, result: isMoved ? "unchanged" : "moved" };
  } catch (error) {
    return { stack, from, result: "failed", problem: userMessage(error) };
  }
}

/** Throws unless the provider alone opens the state, and the stack's file agrees with it. */
async function requireMoved(stack: string, provider: string, workDir: string): Promise<void> {
  const found = await findSecrets(stack, workDir);
  if (!found.state || !haveProvider(found, provider)) {
    throw new InfraError(
      "RDEV_ENGINE",
      "Its state or its file was changed by another process meanwhile. Run this again.",
    );
  }
  await requireReadable(stack, found.state, workDir);
}
