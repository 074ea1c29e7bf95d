import { hostname } from "node:os";
import {
  LocalWorkspace,
  Stack,
  type EngineEvent,
  type PulumiFn,
} from "@pulumi/pulumi/automation/index.js";
import { connectionSecrets } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import type { Step } from "../../core/previews/step.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { requireNoProjects } from "./backend-stacks.ts";
import { prepareDestroy } from "./before-destroy.ts";
import { CommandFailure, installedPulumi, pulumiFor, runPulumi } from "./command.ts";
import { checkConfig, storeConfig, type StackConfig } from "./config.ts";
import { EventReader, type OperationEvent, type Status } from "./events.ts";
import {
  commandFailure,
  isLocked,
  isStackNotFound,
  lockHolders,
  type LockHolder,
} from "./messages.ts";
import { outcome, type Outcome } from "./outcome.ts";
import { inScratchFolder } from "./scratch-folder.ts";
import { useOwnConnections } from "./own-connections.ts";
import { PACKAGE } from "./package.ts";
import { silenceOf } from "./silence.ts";
import { StackState, type StateProperty } from "./state.ts";
import { requirePassphrase, requirePlatform } from "./requirements.ts";
import { toStep } from "./steps.ts";

useOwnConnections();

/** A program may start from settings that its stack's state has no record of yet. */
export type StackProgram = (formerly?: ProjectChanges) => ReturnType<PulumiFn>;

const PATIENCE = 15 * 60_000;

/** What does not depend on what failed is still done, so that all that is wrong is told at once. */
const GO_ON = { continueOnError: true } as const;

export interface OperationOptions {
  /** Called for each event, in order. Must not throw. */
  readonly onEvent?: (event: OperationEvent) => void;
  /** Called with what is going on, for a terminal. Must not throw. */
  readonly onStatus?: (status: Status) => void;
  /**
   * Called with what the engine plans for each resource, in order. Must not throw. Its values are not
   * for users: secrets are marked by the engine, but what a connection's variable holds may be in them.
   */
  readonly onStep?: (step: Step) => void;
  /** Cancels: what is under way is finished, nothing more is begun. */
  readonly signal?: AbortSignal;
  /** Ends it at once. What was under way is in the state as pending. */
  readonly kill?: AbortSignal;
  /** Where `Pulumi.yaml`, the stacks' files and node_modules are. Default: this package. */
  readonly workDir?: string;
  /** What the stack runs. Default: the program of this package. */
  readonly program?: StackProgram;
  /**
   * In ms: an engine that told nothing for so long is ended, as one that cannot write its state waits
   * for ever. Longer than any resource may take. Default: 15 minutes.
   */
  readonly patience?: number;
  /** Told the process id of each command of the engine's, as soon as it runs. */
  readonly onStart?: (pid: number) => void;
  /** Told when something else ended the engine: what was under way is in the state as pending. */
  readonly onKilled?: () => void;
  /**
   * Asked, once, when the stack is locked: true breaks the locks, and the operation goes on. Only
   * for holders that are dead: an engine that lives would write over what this one does.
   */
  readonly mayBreakLocks?: (holders: readonly LockHolder[]) => Promise<boolean>;
  /** For Pulumi's CLI and its plugins, beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface UpOptions extends OperationOptions {
  /** Stored in the stack's file first. Settings that are not named stay as they are. */
  readonly config?: StackConfig;
  /** The settings of a project whose stack has no record of them yet. */
  readonly formerly?: ProjectChanges | undefined;
}

export interface PreviewOptions extends UpOptions {
  /** Make the stack's (empty) record if there is none, as `up` does. Default: false, an error. */
  readonly create?: boolean;
  /** Remove a record that was made for the preview. Default: false. */
  readonly transient?: boolean;
  /** The project's platform is known to be up: it is not asked for again. Default: false. */
  readonly platformIsUp?: boolean;
}

export interface DestroyOptions extends OperationOptions {
  /** Remove the empty stack's record too, and a project's config file. Default: false. */
  readonly remove?: boolean;
  /** There may be no such stack, which is a success then. Default: false, an error. */
  readonly mayBeMissing?: boolean;
  /** What the deletes are to find in the state, whatever the last `up` put there. */
  readonly properties?: readonly StateProperty[];
}

/** Brings a stack to what its program says; makes it if there is none. Never throws. */
export function up(stack: string, options: UpOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, create: true, runsProgram: true }, (handle, common) =>
    handle.up({ ...common, ...GO_ON }),
  );
}

/** What `up` would change. Writes nothing into the folder. Never throws. */
export function preview(stack: string, options: PreviewOptions = {}): Promise<Outcome> {
  return withoutTrace(stack, options, (workDir) =>
    operate(stack, { ...options, workDir, runsProgram: true }, (handle, common) =>
      handle.preview(common),
    ),
  );
}

/** Brings the state to what the servers say. Never throws. */
export function refresh(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, refreshes: true }, (handle, common) =>
    handle.refresh(common),
  );
}

/** What `refresh` would change in the state. Writes nothing into the folder. Never throws. */
export function previewRefresh(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return withoutTrace(stack, options, (workDir) =>
    operate(stack, { ...options, workDir, refreshes: true }, (handle, common) =>
      handle.previewRefresh(common),
    ),
  );
}

/**
 * Deletes all that a stack made. Of an empty stack it is a success. A platform that still has projects
 * is refused. Never throws.
 */
export function destroy(stack: string, options: DestroyOptions = {}): Promise<Outcome> {
  const { remove = false, properties = [] } = options;
  return operate(stack, { ...options, deletes: true }, async (handle, common, name) => {
    const lost = await prepareDestroy(handle).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (properties.length > 0) {
      const state = await StackState.read(stack, handle.workspace.workDir);
      for (const each of properties) state.set(each);
      await state.save();
    }
    await handle.destroy({ ...common, ...GO_ON });
    if (lost) throw lost.error; // the record stays: it names what may be left
    // A platform's config is written by people, a project's by `up`.
    const preserveConfig = name.kind === "platform";
    if (remove) await handle.workspace.removeStack(stack, { preserveConfig });
  });
}

/** Removes the record of a stack that is empty; of none it is a success. Never throws. */
export function removeRecord(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, mayBeMissing: true }, async ({ workspace }) => {
    await workspace.removeStack(stack);
  });
}

/** What `destroy` would delete. Writes nothing into the folder. Never throws. */
export function previewDestroy(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return withoutTrace(stack, options, (workDir) =>
    operate(stack, { ...options, workDir, deletes: true }, (handle, common) =>
      handle.previewDestroy(common),
    ),
  );
}

/** Pulumi writes a stack's file even in a preview, so a preview runs in a copy of the folder. */
function withoutTrace(
  stack: string,
  { workDir = PACKAGE }: OperationOptions,
  run: (copy: string) => Promise<Outcome>,
): Promise<Outcome> {
  return inScratchFolder(workDir, stack, run).catch((failure: unknown) =>
    outcome({ events: [], outputs: {}, durationMs: 0, failure, cancelled: false }),
  );
}

interface Common {
  readonly onEvent: (event: EngineEvent) => void;
  readonly color: "never";
  readonly signal?: AbortSignal;
}

interface Kind {
  readonly runsProgram?: boolean;
  readonly deletes?: boolean;
  readonly refreshes?: boolean;
}

type Work = (handle: Stack, common: Common, name: StackName) => Promise<unknown>;

async function operate(
  stack: string,
  options: PreviewOptions & DestroyOptions & Kind,
  work: Work,
): Promise<Outcome> {
  const begin = Date.now();
  const secrets = connectionSecrets();
  const reader = new EventReader(secrets);
  const events: OperationEvent[] = [];
  const { patience = PATIENCE } = options;
  const silence = silenceOf(patience);
  const common: Common = {
    color: "never",
    onEvent: (raw) => {
      silence.heard();
      const step = options.onStep && toStep(raw, options.refreshes === true);
      if (step) options.onStep?.(step);
      if (raw.preludeEvent) {
        options.onStatus?.({
          message: options.runsProgram ? "running the program" : "reading the state",
        });
      }
      const status = options.onStatus && reader.status(raw);
      if (status) options.onStatus?.(status);
      const event = reader.read(raw);
      if (!event) return;
      events.push(event);
      options.onEvent?.(event);
    },
    ...(options.signal && { signal: options.signal }),
  };

  let failure: unknown;
  try {
    const name = parseStackName(stack);
    if (options.runsProgram) requireWholeSdk();
    const handle = await open(name, stack, { ...options, force: silence.signal });
    options.onStatus?.({ message: "starting Pulumi's engine" });
    await unlocked(handle, options, () =>
      withStack(handle, options, () => work(handle, common, name)),
    );
  } catch (error) {
    if (error instanceof CommandFailure && error.killed) {
      hasLostEngine = true;
      options.onKilled?.();
    }
    const isMissing = error instanceof CommandFailure && isStackNotFound(error.stderr);
    if (isMissing && options.mayBeMissing) failure = undefined;
    else if (!(error instanceof CommandFailure)) failure = error;
    else if (silence.signal.aborted) failure = silent(patience);
    else failure = commandFailure(error.stderr, stack, secrets, isGone);
  } finally {
    silence.end();
  }
  return outcome({
    events,
    outputs: reader.outputs,
    settings: reader.settings,
    durationMs: Date.now() - begin,
    failure,
    cancelled: options.signal?.aborted === true,
  });
}

function silent(patience: number): InfraError {
  return new InfraError(
    "RDEV_DEADLINE",
    `Pulumi's engine told nothing for ${patience / 1000} s, and was ended. It does so when it cannot ` +
      "write the state: is the disk full? Then run this again; what was begun is taken up.",
  );
}

let hasLostEngine = false;

/**
 * Pulumi's SDK shares its connection to the engine between all runs of a process. What is left of a
 * run whose engine was killed can close that of the next, and the SDK takes a program that lost its
 * connection for one that has ended: to the engine, all that it had yet to name is to be deleted.
 */
function requireWholeSdk(): void {
  if (!hasLostEngine) return;
  throw new InfraError(
    "RDEV_ENGINE",
    "Pulumi's engine was killed in the middle of an earlier operation of this process. No program " +
      "can be run safely in it any more: run this again in a process of its own.",
  );
}

/** Checks what can be checked before the engine starts, and gives the SDK's handle of the stack. */
async function open(
  name: StackName,
  stack: string,
  options: PreviewOptions & Kind & { readonly force: AbortSignal },
): Promise<Stack> {
  const { workDir = PACKAGE, config, runsProgram, platformIsUp, signal, env, formerly } = options;
  if (config) checkConfig(name, config);
  await requirePassphrase(workDir, stack);
  const needsPlatform = name.kind === "project" && runsProgram && !platformIsUp;
  options.onStatus?.({
    message: needsPlatform ? "reading the platform's state" : "looking for Pulumi's CLI",
  });
  const program = runsProgram ? (options.program ?? ownProgram()) : notRun;
  const [pulumi] = await Promise.all([
    installedPulumi(),
    needsPlatform ? requirePlatform(name, workDir, signal) : undefined,
    options.deletes ? requireNoProjects(name, workDir, signal) : undefined,
  ]);
  const workspace = await LocalWorkspace.create({
    workDir,
    program: () => program(formerly),
    pulumiCommand: pulumiFor(pulumi, options),
    ...(env && { envVars: { ...env } }),
  });
  return Stack.select(stack, workspace);
}

/** The program of this package. It is loaded while the processes beside it run. */
function ownProgram(): StackProgram {
  const loading = import("../../index.ts");
  loading.catch(() => undefined); // told when it is run
  return async (formerly) => (await loading).default(formerly);
}

/** With a program the engine needs no language host, even where it runs none. */
const notRun: StackProgram = () => Promise.resolve({});

/** Stores the config and works; where there is no stack and one is wanted, makes it first. */
async function withStack(
  handle: Stack,
  { config, create, transient }: PreviewOptions,
  work: () => Promise<unknown>,
): Promise<void> {
  const workspace = handle.workspace as LocalWorkspace;
  const run = async () => {
    if (config) await storeConfig(workspace, handle.name, config);
    await work();
  };
  try {
    await run();
  } catch (error) {
    const missing = error instanceof CommandFailure && isStackNotFound(error.stderr);
    if (!missing || !create) throw error;
    const init = ["stack", "init", "--no-select", handle.name];
    await runPulumi(init, { workDir: workspace.workDir });
    try {
      await run();
    } finally {
      if (transient) await removeUnused(handle);
    }
  }
}

/** Removes an empty record. One that an `up` has filled meanwhile stays. */
async function removeUnused({ name, workspace: { workDir } }: Stack): Promise<void> {
  try {
    await runPulumi(["stack", "rm", "--yes", "--stack", name], { workDir });
  } catch (error) {
    const isInUse = error instanceof CommandFailure && error.stderr.includes("still has resources");
    if (!isInUse) throw error;
  }
}

/** Where the stack is locked, by holders that are dead: breaks the locks, and works once more. */
async function unlocked(
  handle: Stack,
  { mayBreakLocks }: OperationOptions,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CommandFailure) || !isLocked(error.stderr)) throw error;
    if (!(await mayBreakLocks?.(lockHolders(error.stderr)))) throw error;
    const { workDir } = handle.workspace;
    await runPulumi(["cancel", "--yes", "--stack", handle.name], { workDir });
    await work();
  }
}

function isGone({ host, pid }: LockHolder): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
