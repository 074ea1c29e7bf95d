import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import { parseStackName } from "../../core/stack-name.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import type { StackPreview } from "../../core/previews/model.ts";
import { requirePlatform } from "../engine/requirements.ts";
import { previewStack, type PreviewStackOptions } from "./preview-stack.ts";
import { OTHER_CONFIG } from "../engine/quirks/plugin-proxy.ts";
import { startSharedPlugins } from "../engine/quirks/shared-plugins.ts";

/** One more than there are cores: an engine also waits, for files and for its plugins. */
export const DEFAULT_CONCURRENCY = availableParallelism() + 1;

/** So many that fail a second time in a row say that the others would, too. */
const ENOUGH = 3;

export interface Progress {
  readonly done: number;
  readonly failed: number;
  readonly total: number;
  /** In ms, as far as can be told; undefined at the beginning. */
  readonly left: number | undefined;
}

export interface PreviewStacksOptions extends Omit<
  PreviewStackOptions,
  "env" | "platformIsUp" | "formerly"
> {
  readonly workDir: string;
  /** The settings of the projects whose stacks have no record of them yet. */
  readonly formerly?: (stack: string) => ProjectChanges | undefined;
  /** How many at once. Default: DEFAULT_CONCURRENCY. */
  readonly concurrency?: number;
  /** Called when a stack is done. Must not throw. */
  readonly onDone?: (preview: StackPreview, progress: Progress) => void;
}

/**
 * Previews many stacks, each in an engine of its own, all by one program and one set of plugins. Takes
 * no lock and changes nothing. Never throws: what fails is in the stack's preview.
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
  const tell = (preview: StackPreview) => {
    previews.set(preview.stack, preview);
    const done = previews.size;
    const failed = [...previews.values()].filter(({ result }) => result !== "succeeded").length;
    const left = ((performance.now() - begin) / done) * (stacks.length - done);
    onDone?.(preview, { done, failed, total: stacks.length, left: Math.round(left) });
  };

  const plugins = await startSharedPlugins(workDir);
  try {
    const isPlatformUp = platformChecks(workDir, signal);
    const limit = pLimit(concurrency);
    await limit.map(stacks, async (stack) => {
      const platformIsUp = await isPlatformUp(stack);
      const { env } = plugins;
      tell(await previewStack(stack, { ...options, env, platformIsUp, formerly: formerly(stack) }));
    });
  } finally {
    plugins.close();
  }
  const alone = (stack: string) => previewStack(stack, { ...options, formerly: formerly(stack) });
  await againAlone([...previews.values()], { signal, alone }, tell);
  return stacks.map((stack) => previews.get(stack)!);
}

interface AgainOptions {
  readonly signal: AbortSignal | undefined;
  readonly alone: (stack: string) => Promise<StackPreview>;
}

/**
 * What failed without a cause of its own may owe it to a neighbour (the SDK gives a stray rejection of
 * one program to all that run) or to a plugin that it shared: that is tried again by itself.
 */
async function againAlone(
  previews: readonly StackPreview[],
  { signal, alone }: AgainOptions,
  tell: (preview: StackPreview) => void,
): Promise<void> {
  let inVain = 0;
  for (const { stack } of previews.filter(mayBeOfOthers)) {
    if (inVain === ENOUGH || signal?.aborted) return;
    const again = await alone(stack);
    inVain = again.result === "succeeded" ? 0 : inVain + 1;
    tell(again);
  }
}

function mayBeOfOthers({ result, errors }: StackPreview): boolean {
  if (result !== "failed") return false;
  return errors.every(
    ({ code, message }) =>
      code === undefined || code === "RDEV_ENGINE" || message.includes(OTHER_CONFIG),
  );
}

/** Looks once for each platform whether it is up. Where it is not, each project's preview says why. */
function platformChecks(workDir: string, signal: AbortSignal | undefined) {
  const known = new Map<string, Promise<boolean>>();
  const check = async (stack: string) => {
    try {
      await requirePlatform(parseStackName(stack), workDir, signal);
      return true;
    } catch {
      return false;
    }
  };
  return (stack: string): Promise<boolean> => {
    const [platform = ""] = stack.split(".");
    const isUp = known.get(platform) ?? check(stack);
    if (stack !== platform) known.set(platform, isUp);
    return isUp;
  };
}
