import type { ImageConfig } from "../image.ts";
import type { Owner } from "../layer.ts";

/** A Dockerfile that the sandbox can build. */
export interface Plan {
  /** The golang stages, in the order of the file. */
  readonly builders: readonly BuilderStage[];
  readonly final: FinalStage;
}

export interface BuilderStage {
  readonly name: string | undefined;
  readonly steps: readonly (Copy | Run)[];
}

export interface FinalStage {
  readonly base: Base;
  readonly steps: readonly Copy[];
  readonly config: ImageConfig;
}

/** The base of a final stage: nothing, or the files of gcr.io/distroless/static. */
export type Base = "scratch" | "static";

export interface Copy {
  readonly kind: "copy";
  /** From 1. */
  readonly line: number;
  /** The index of a builder. Undefined for the build context. */
  readonly from: number | undefined;
  /** Relative to the context or to the builder's root. May have the wildcards of COPY. */
  readonly sources: readonly string[];
  /** Absolute, without a trailing slash. */
  readonly target: string;
  /** Whether the target is written with a trailing slash. */
  readonly isFolder: boolean;
  readonly owner: Owner | undefined;
  readonly mode: number | undefined;
}

export interface Run {
  readonly kind: "run";
  /** From 1. */
  readonly line: number;
  /** Joined by `&&`. */
  readonly commands: readonly GoCommand[];
  /** The working folder, absolute in the stage. */
  readonly folder: string;
}

export interface GoCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
