/** Where an agent runs the steps of workflows (pipeline/backend/types/backend.go). */
export interface Backend {
  /** Makes the workspace that the steps of one workflow share. */
  prepare(): Promise<Workspace>;
}

export interface Workspace {
  /** Runs one step to its end. @throws if it cannot be started. */
  run(step: StepOrder, watch: StepWatch): Promise<number>;
  /** Removes the workspace with everything in it. */
  remove(): Promise<void>;
}

/** A step as a backend gets it: nothing else about the pipeline is known there. */
export interface StepOrder {
  readonly type: "clone" | "service" | "plugin" | "commands";
  readonly image: string;
  readonly commands: readonly string[];
  /** Replaces the image's own program, and the shell that runs `commands`. */
  readonly entrypoint: readonly string[];
  /** The path of the clone, such as `/woodpecker/src/gitea.example.com/acme/app`. */
  readonly workspace: string;
  /** The folder it runs in. */
  readonly workingDirectory: string;
  /** Everything that Woodpecker gives the step, in addition to the image's own variables. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface StepWatch {
  /** Aborted when the step must end at once. */
  readonly signal: AbortSignal;
  /** Called with each line of its output, without the newline. */
  readonly onLine: (line: string) => void;
}
