import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import {
  LocalWorkspace,
  Stack,
  type EngineEvent,
  type PulumiFn,
} from "@pulumi/pulumi/automation/index.js";
import { connectionSecrets } from "../../core/connections.ts";
import type { Step } from "../../core/previews/step.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { CommandFailure, installedPulumi, pulumiFor, runPulumi } from "./command.ts";
import { checkConfig, storeConfig, type StackConfig } from "./config.ts";
import { EventReader, type OperationEvent } from "./events.ts";
import { commandFailure, isStackNotFound, type LockHolder } from "./messages.ts";
import { outcome, type Outcome } from "./outcome.ts";
import { requirePassphrase, requirePlatform } from "./requirements.ts";
import { toStep } from "./steps.ts";

/** The package: here plugins find node_modules, and Pulumi its settings. */
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** What does not depend on what failed is still done, so that all that is wrong is told at once. */
const GO_ON = { continueOnError: true } as const;

export interface OperationOptions {
  /** Called for each event, in order. Must not throw. */
  readonly onEvent?: (event: OperationEvent) => void;
  /** Cancels: what is under way is finished, nothing more is begun. */
  readonly signal?: AbortSignal;
  /** Ends it at once. What was under way is in the state as pending. */
  readonly kill?: AbortSignal;
  /** Where `Pulumi.yaml`, the stacks' files and node_modules are. Default: this package. */
  readonly workDir?: string;
  /** What the stack runs. Default: the program of this package. */
  readonly program?: PulumiFn;
  /** For Pulumi's CLI and its plugins, beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface UpOptions extends OperationOptions {
  /** Stored in the stack's file first. Settings that are not named stay as they are. */
  readonly config?: StackConfig;
}

export interface PreviewOptions extends UpOptions {
  /** Make the stack's (empty) record if there is none, as `up` does. Default: false, an error. */
  readonly create?: boolean;
  /**
   * Called with what the engine plans for each resource, in order. Must not throw. Its values are not
   * for users: secrets are marked by the engine, but what a connection's variable holds may be in them.
   */
  readonly onStep?: (step: Step) => void;
  /** The project's platform is known to be up: it is not asked for again. Default: false. */
  readonly platformIsUp?: boolean;
}

export interface DestroyOptions extends OperationOptions {
  /** Remove the empty stack's record too, and a project's config file. Default: false. */
  readonly remove?: boolean;
}

/** Brings a stack to what its program says; makes it if there is none. Never throws. */
export function up(stack: string, options: UpOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, create: true, runsProgram: true }, (handle, common) =>
    handle.up({ ...common, ...GO_ON }),
  );
}

/** What `up` would change. Never throws. */
export function preview(stack: string, options: PreviewOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, runsProgram: true }, (handle, common) =>
    handle.preview(common),
  );
}

/** Brings the state to what the servers say. Never throws. */
export function refresh(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return operate(stack, options, (handle, common) => handle.refresh(common));
}

/** Deletes all that a stack made. Of an empty stack it is a success. Never throws. */
export function destroy(stack: string, options: DestroyOptions = {}): Promise<Outcome> {
  return operate(stack, options, async (handle, common, name) => {
    await handle.destroy({ ...common, ...GO_ON });
    if (!options.remove) return;
    // A platform's config is written by people, a project's by `up`.
    await handle.workspace.removeStack(stack, { preserveConfig: name.kind === "platform" });
  });
}

/** What `destroy` would delete. Never throws. */
export function previewDestroy(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return operate(stack, options, (handle, common) => handle.previewDestroy(common));
}

interface Common {
  readonly onEvent: (event: EngineEvent) => void;
  readonly color: "never";
  readonly signal?: AbortSignal;
}

type Work = (handle: Stack, common: Common, name: StackName) => Promise<unknown>;

async function operate(
  stack: string,
  options: PreviewOptions & { readonly runsProgram?: boolean },
  work: Work,
): Promise<Outcome> {
  const begin = Date.now();
  const secrets = connectionSecrets();
  const reader = new EventReader(secrets);
  const events: OperationEvent[] = [];
  const common: Common = {
    color: "never",
    onEvent: (raw) => {
      const step = options.onStep && toStep(raw);
      if (step) options.onStep?.(step);
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
    const handle = await open(name, stack, options);
    await withStack(handle, options, () => work(handle, common, name));
  } catch (error) {
    failure =
      error instanceof CommandFailure
        ? commandFailure(error.stderr, stack, secrets, isGone)
        : error;
  }
  return outcome({
    events,
    outputs: reader.outputs,
    durationMs: Date.now() - begin,
    failure,
    cancelled: options.signal?.aborted === true,
  });
}

/** Checks what can be checked before the engine starts, and gives the SDK's handle of the stack. */
async function open(
  name: StackName,
  stack: string,
  options: PreviewOptions & { readonly runsProgram?: boolean },
): Promise<Stack> {
  const { workDir = PACKAGE, config, runsProgram, platformIsUp, signal, kill, env } = options;
  if (config) checkConfig(name, config);
  await requirePassphrase(workDir, stack);
  const program = runsProgram ? (options.program ?? ownProgram()) : notRun;
  const [pulumi] = await Promise.all([
    installedPulumi(),
    runsProgram && !platformIsUp ? requirePlatform(name, workDir, signal) : undefined,
  ]);
  const workspace = await LocalWorkspace.create({
    workDir,
    program,
    pulumiCommand: pulumiFor(pulumi, kill),
    ...(env && { envVars: { ...env } }),
  });
  return Stack.select(stack, workspace);
}

/** The program of this package. It is loaded while the processes beside it run. */
function ownProgram(): PulumiFn {
  const loading = import("../../index.ts");
  loading.catch(() => undefined); // told when it is run
  return async () => (await loading).default();
}

/** With a program the engine needs no language host, even where it runs none. */
const notRun: PulumiFn = () => Promise.resolve({});

/** Stores the config and works; where there is no stack and one is wanted, makes it first. */
async function withStack(
  handle: Stack,
  { config, create }: PreviewOptions,
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
    await run();
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
