import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import { parseStackName } from "../../core/stack-name.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { storedPlatform, type StoredPlatform } from "../engine/requirements.ts";
import { previewStack, type PreviewStackOptions } from "./preview-stack.ts";
import { OTHER_CONFIG } from "../engine/quirks/plugin-proxy.ts";
import { startSharedPlugins } from "../engine/quirks/shared-plugins.ts";

/** One more than the number of cores, because an engine also waits for files and plugins. */
const DEFAULT_CONCURRENCY = availableParallelism() + 1;

/** After so many retries in a row have failed, the others would fail as well. */
const MAX_FAILED_RETRIES = 3;

export interface Progress {
  readonly done: number;
  readonly failed: number;
  readonly total: number;
  /** The estimated time left in ms; undefined at the beginning. */
  readonly left: number | undefined;
}

interface PreviewStacksOptions extends Omit<PreviewStackOptions, "env" | "platform" | "formerly"> {
  readonly workDir: string;
  /** Returns the settings of a project whose stack has no record of them yet. */
  readonly formerly?: (stack: string) => ProjectChanges | undefined;
  /** How many at once. Default: DEFAULT_CONCURRENCY. */
  readonly concurrency?: number;
  /** Called when a stack is done. Must not throw. */
  readonly onDone?: (preview: StackPreview, progress: Progress) => void;
}

/**
 * Previews many stacks. Each has an engine of its own; all share this process's program and one set of
 * plugins. Takes no lock and changes nothing. Never throws: a failure is part of the stack's preview.
 */
export async function previewStacks(
  stacks: readonly string[],
  {
    concurrency = DEFAULT_CONCURRENCY,
    onDone,
    formerly = () => undefined,
    ...options
  }: PreviewStacksOptions,
): Promise<StackPreview[]> {
  const { workDir, signal } = options;
  const previews = new Map<string, StackPreview>();
  const begin = performance.now();
  const report = (preview: StackPreview) => {
    previews.set(preview.stack, preview);
    const done = previews.size;
    const failed = [...previews.values()].filter(({ result }) => result !== "succeeded").length;
    const left = ((performance.now() - begin) / done) * (stacks.length - done);
    onDone?.(preview, { done, failed, total: stacks.length, left: Math.round(left) });
  };

  const plugins = await startSharedPlugins(workDir);
  try {
    const platformOf = platformReader(workDir, signal);
    const limit = pLimit(concurrency);
    await limit.map(stacks, async (stack) => {
      const platform = await platformOf(stack);
      const { env } = plugins;
      report(await previewStack(stack, { ...options, env, platform, formerly: formerly(stack) }));
    });
  } finally {
    await plugins.close();
  }
  const alone = (stack: string) => previewStack(stack, { ...options, formerly: formerly(stack) });
  await retryAlone([...previews.values()], { signal, alone }, report);
  return stacks.map((stack) => previews.get(stack)!);
}

interface RetryOptions {
  readonly signal: AbortSignal | undefined;
  readonly alone: (stack: string) => Promise<StackPreview>;
}

/**
 * Retries, alone, previews that may have failed because of another stack. The SDK reports an unhandled
 * rejection of one program to all running ones, and a shared plugin has one configuration.
 */
async function retryAlone(
  previews: readonly StackPreview[],
  { signal, alone }: RetryOptions,
  report: (preview: StackPreview) => void,
): Promise<void> {
  let failedInARow = 0;
  for (const { stack } of previews.filter(mayBeCausedByOthers)) {
    if (failedInARow === MAX_FAILED_RETRIES || signal?.aborted) return;
    const retried = await alone(stack);
    failedInARow = retried.result === "succeeded" ? 0 : failedInARow + 1;
    report(retried);
  }
}

function mayBeCausedByOthers({ result, errors }: StackPreview): boolean {
  if (result !== "failed") return false;
  return errors.every(
    ({ code, message }) =>
      code === undefined || code === "RDEV_ENGINE" || message.includes(OTHER_CONFIG),
  );
}

/** Reads each platform once. If that fails, each project's preview reports why. */
function platformReader(workDir: string, signal: AbortSignal | undefined) {
  const known = new Map<string, Promise<StoredPlatform | undefined>>();
  return async (stack: string): Promise<StoredPlatform | undefined> => {
    const name = parseStackName(stack);
    if (name.kind === "platform") return undefined;
    const settings =
      known.get(name.platform) ?? storedPlatform(name, workDir, signal).catch(() => undefined);
    known.set(name.platform, settings);
    return settings;
  };
}
