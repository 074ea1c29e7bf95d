import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import type { OperationEvent } from "../../core/operation.ts";
import type { Step } from "../../core/previews/step.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import type { CommandControl } from "./command.ts";
import type { StackConfig } from "./config.ts";
import type { Status } from "./events.ts";
import type { StoredPlatform, StoredSettings } from "./requirements.ts";
import type { LockHolder } from "./quirks/cli-text.ts";
import type { StackState, StateProperty } from "./state.ts";

/**
 * Gets the project's settings as `formerly` if its stack's state has no record of them yet, and the
 * settings of its platform if they are known.
 */
export type StackProgram = (
  formerly?: ProjectChanges,
  platform?: StoredSettings,
) => ReturnType<PulumiFn>;

export interface OperationOptions extends Omit<CommandControl, "force"> {
  /** Called with each event, in order. Must not throw. */
  readonly onEvent?: (event: OperationEvent) => void;
  /** Called with what is going on, for a terminal. Must not throw. */
  readonly onStatus?: (status: Status) => void;
  /**
   * Called with what the engine plans for each resource, in order. Must not throw. Its values are not
   * for users: the engine marks secrets, but the values may contain what a connection's variable holds.
   */
  readonly onStep?: (step: Step) => void;
  /** Called with what each resource's server says, if the operation reads the servers first. Like `onStep`. */
  readonly onRefreshed?: (step: Step) => void;
  /** Holds `Pulumi.yaml`, the stacks' files and node_modules. Default: this package. */
  readonly workDir?: string;
  /** What the stack runs. Default: the program of this package. */
  readonly program?: StackProgram;
  /** An engine that reports nothing for so long, in ms, is killed. Default: 15 minutes. */
  readonly stallMs?: number;
  /** Called when something else ended the engine. */
  readonly onKilled?: () => void;
  /**
   * Called once if the stack is locked. If it returns true, the locks are broken and the operation
   * goes on. It must only do so for dead holders: a running engine would overwrite the state.
   */
  readonly mayBreakLocks?: (holders: readonly LockHolder[]) => Promise<boolean>;
  /** Added to the environment of Pulumi's CLI and its plugins. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface UpOptions extends OperationOptions {
  /** Stored in the stack's file first. Settings that it does not name stay as they are. */
  readonly config?: StackConfig;
  /** The settings of a project whose stack has no record of them yet. */
  readonly formerly?: ProjectChanges | undefined;
  /** Read the servers first, and take back what others changed there. Default: false. */
  readonly refresh?: boolean;
}

export interface PreviewOptions extends UpOptions {
  /** Make the stack's (empty) record if there is none, like `up`. Default: false, an error. */
  readonly create?: boolean;
  /** Remove a record that was made for the preview. Default: false. */
  readonly transient?: boolean;
  /** The project's platform, if the caller has read it already. */
  readonly platform?: StoredPlatform | undefined;
}

export interface DestroyOptions extends OperationOptions {
  /** Remove the empty stack's record too, and a project's config file. Default: false. */
  readonly remove?: boolean;
  /** Succeed if there is no such stack. Default: false, an error. */
  readonly mayBeMissing?: boolean;
  /** The stack's state, if the caller has read it already. */
  readonly state?: StackState | undefined;
  /** Set in the state before the deletes, whatever the last `up` put there. */
  readonly properties?: readonly StateProperty[];
}
