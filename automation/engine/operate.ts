import { hostname } from "node:os";
import { LocalWorkspace, Stack, type EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { connectionSecrets } from "../../core/connections.ts";
import type { OperationEvent, Outcome } from "../../core/operation.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { isRunning } from "../processes/processes.ts";
import { requireNoProjects } from "./backend-stacks.ts";
import {
  CommandFailure,
  failedBecause,
  installedPulumi,
  pulumiFor,
  runPulumi,
  type CommandControl,
} from "./command.ts";
import { checkConfig, storeConfig } from "./config.ts";
import { EventReader, toRefreshed, toStep } from "./events.ts";
import { PACKAGE } from "./folders.ts";
import { commandFailure } from "./messages.ts";
import type { DestroyOptions, PreviewOptions, StackProgram } from "./options.ts";
import { outcomeOf } from "./outcome.ts";
import { lockHolders, type LockHolder } from "./quirks/cli-text.ts";
import { type DynamicPlugin, serveDynamicProviders, withPlugin } from "./quirks/dynamic-plugin.ts";
import { recordLostEngine, requireNoLostEngine } from "./quirks/lost-engine.ts";
import { ProgramClients } from "./quirks/open-clients.ts";
import { useOwnConnections } from "./quirks/own-connections.ts";
import { storedState } from "./quirks/state-file.ts";
import { STALL_MS, stalledError, startStallTimer } from "./quirks/stalled-engine.ts";
import {
  requirePassphrase,
  secretsInFile,
  storedPlatform,
  type StoredPlatform,
} from "./requirements.ts";
import { EngineTimeline, type Timeline, withTimeline } from "./timeline.ts";

useOwnConnections();

interface OperateOptions extends PreviewOptions, DestroyOptions {
  readonly runsProgram?: boolean;
  readonly deletes?: boolean;
  readonly refreshes?: boolean;
  readonly changesNothing?: boolean;
}

interface OperationContext {
  readonly handle: Stack;
  readonly name: StackName;
  /** The options that every operation of `handle` needs. */
  readonly common: {
    readonly onEvent: (event: EngineEvent) => void;
    readonly color: "never";
    readonly signal?: AbortSignal;
  };
  readonly control: Omit<CommandControl, "signal">;
}

interface RunParts {
  readonly timeline: Timeline;
  readonly clients: ProgramClients;
}

/** Runs one operation of a stack and collects its events into an outcome. Never throws. */
export function operate(
  stack: string,
  options: OperateOptions,
  work: (context: OperationContext) => Promise<unknown>,
): Promise<Outcome> {
  return withTimeline((timeline) => run(stack, options, work, timeline));
}

async function run(
  stack: string,
  options: OperateOptions,
  work: (context: OperationContext) => Promise<unknown>,
  timeline: Timeline,
): Promise<Outcome> {
  const start = Date.now();
  const secrets = connectionSecrets();
  const reader = new EventReader(secrets);
  const events: OperationEvent[] = [];
  const { stallMs = STALL_MS, signal } = options;
  const stall = startStallTimer(stallMs);
  const engine = new EngineTimeline(timeline);
  const onEvent = (raw: EngineEvent) => {
    stall.onEvent();
    engine.onEvent(raw);
    reportProgress(raw, options);
    const status = reader.status(raw);
    if (status) options.onStatus?.(status);
    if (status?.urn) engine.onWait(status.urn, status.message);
    const event = reader.read(raw);
    if (!event) return;
    events.push(event);
    options.onEvent?.(event);
  };
  const common = { color: "never", onEvent, ...(signal && { signal }) } as const;
  const onStart = (pid: number) => {
    engine.onStart();
    options.onStart?.(pid);
  };
  const control = { kill: options.kill, force: stall.signal, onStart };

  const clients = new ProgramClients();

  let failure: unknown;
  let plugin: DynamicPlugin | undefined;
  try {
    const name = parseStackName(stack);
    if (options.runsProgram) requireNoLostEngine();
    plugin = await serveDynamicProviders(options);
    const env = withPlugin(options.env, plugin);
    const { handle, platform } = await open(
      name,
      stack,
      { ...options, env },
      { control, timeline, clients },
    );
    options.onStatus?.({ message: "starting Pulumi's engine" });
    await breakingLocks(handle, options, () =>
      inStack(handle, { ...options, platform }, () => work({ handle, common, name, control })),
    );
  } catch (error) {
    if (error instanceof CommandFailure && error.killed) {
      recordLostEngine();
      options.onKilled?.();
    }
    if (options.mayBeMissing && failedBecause(error, "stack-not-found")) failure = undefined;
    else if (!(error instanceof CommandFailure)) failure = error;
    else if (stall.signal.aborted) failure = stalledError(stallMs);
    else failure = commandFailure(error.stderr, stack, secrets, isGone);
  } finally {
    stall.stop();
    plugin?.close();
    clients.close();
  }
  return outcomeOf({
    events,
    outputs: reader.outputs,
    settings: reader.settings,
    template: reader.template,
    durationMs: Date.now() - start,
    failure,
    cancelled: signal?.aborted === true,
    timings: timeline.timings,
  });
}

function reportProgress(
  raw: EngineEvent,
  { onStep, onRefreshed, onStatus, runsProgram, refreshes = false }: OperateOptions,
): void {
  const refreshed = onRefreshed && toRefreshed(raw);
  if (refreshed) onRefreshed(refreshed);
  const step = onStep && toStep(raw, refreshes);
  if (step) onStep(step);
  if (raw.preludeEvent) {
    onStatus?.({ message: runsProgram ? "running the program" : "reading the state" });
  }
}

/** Checks what can be checked before the engine starts, and returns the SDK's object for the stack. */
async function open(
  name: StackName,
  stack: string,
  options: OperateOptions,
  { control, timeline, clients }: Pick<OperationContext, "control"> & RunParts,
): Promise<{ handle: Stack; platform: StoredPlatform | undefined }> {
  const { workDir = PACKAGE, config, runsProgram, signal, env, formerly } = options;
  if (config) checkConfig(name, config);
  await requirePassphrase(workDir, stack);
  const needsPlatform = name.kind === "project" && runsProgram && !options.platform;
  options.onStatus?.({
    message: needsPlatform ? "reading the platform's state" : "looking for Pulumi's CLI",
  });
  const program = runsProgram ? (options.program ?? ownProgram()) : emptyProgram;
  const [pulumi, platform = options.platform] = await Promise.all([
    installedPulumi(),
    needsPlatform ? storedPlatform(name, workDir, signal) : undefined,
    options.deletes ? requireNoProjects(name, workDir, signal) : undefined,
  ]);
  const workspace = await LocalWorkspace.create({
    workDir,
    program: () => {
      clients.collect();
      return timeline.time("program", name.kind, () => program(formerly, platform?.settings));
    },
    pulumiCommand: pulumiFor(pulumi, control),
    ...(env && { envVars: { ...env } }),
  });
  return { handle: await Stack.select(stack, workspace), platform };
}

/** Loads this package's program while the checks in `open` run. */
function ownProgram(): StackProgram {
  const loading = import("../../index.ts");
  loading.catch(() => undefined); // reported when the program runs
  return async (formerly, platform) => (await loading).default(formerly, platform);
}

/** For operations that run no program: without one, the engine would start a language host. */
const emptyProgram: StackProgram = () => Promise.resolve({});

/** Stores the config, then works. With `create`, makes the stack first if there is none. */
async function inStack(
  handle: Stack,
  { config, create, transient, platform }: OperateOptions,
  work: () => Promise<unknown>,
): Promise<void> {
  const { name: stack } = handle;
  const workspace = handle.workspace as LocalWorkspace;
  const run = async () => {
    if (config) await storeConfig(workspace, stack, config);
    await work();
  };
  // Otherwise the command says that the stack is missing, after it has started an engine.
  const isMissing = create && (await storedState(stack, workspace.workDir)) === "missing";
  try {
    if (!isMissing) return await run();
  } catch (error) {
    if (!create || !failedBecause(error, "stack-not-found")) throw error;
  }
  const { workDir } = workspace;
  // Plain `stack init` would choose a passphrase, whatever the file says.
  const secrets = platform?.secrets ?? (await secretsInFile(workDir, stack));
  const provider = secrets ? ["--secrets-provider", secrets.provider] : [];
  await runPulumi(["stack", "init", "--no-select", ...provider, stack], { workDir });
  try {
    await run();
  } finally {
    if (transient) await removeIfEmpty(handle);
  }
}

/** Removes a stack's record, unless an `up` has filled it meanwhile. */
async function removeIfEmpty({ name, workspace: { workDir } }: Stack): Promise<void> {
  try {
    await runPulumi(["stack", "rm", "--yes", "--stack", name], { workDir });
  } catch (error) {
    if (!failedBecause(error, "stack-in-use")) throw error;
  }
}

/** Works. If the stack is locked by dead holders, breaks their locks and works once more. */
async function breakingLocks(
  handle: Stack,
  { mayBreakLocks }: OperateOptions,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!failedBecause(error, "locked")) throw error;
    if (!(await mayBreakLocks?.(lockHolders(error.stderr)))) throw error;
    const { workDir } = handle.workspace;
    await runPulumi(["cancel", "--yes", "--stack", handle.name], { workDir });
    await work();
  }
}

function isGone({ host, pid }: LockHolder): boolean {
  return host === hostname() && !isRunning(pid);
}
