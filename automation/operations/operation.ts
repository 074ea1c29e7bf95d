import type { ProjectSettings } from "../../core/settings.ts";
import type { OperationEvent } from "../engine/events.ts";
import type { Outcome } from "../engine/outcome.ts";

/** What is done to a project's stack. */
export type OperationKind = "up" | "preview" | "refresh" | "destroy";

/**
 * `queued` waits for its turn, `running` has a worker, `cancelling` was asked to stop; the others are
 * ends.
 */
export const OPERATION_STATES = [
  "queued",
  "running",
  "cancelling",
  "succeeded",
  "failed",
  "cancelled",
] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

/** What a caller asks for. Settings that are not named stay as they are. */
export type OperationRequest =
  | {
      readonly kind: "up";
      readonly settings: Partial<ProjectSettings>;
      /** When the first `up` fails: keep what was made and say what, or destroy it again. */
      readonly onFailure: "keep" | "rollback";
    }
  | {
      readonly kind: "preview";
      readonly settings: Partial<ProjectSettings>;
      /** What a destroy would delete, instead of what an up would change. */
      readonly of: "up" | "destroy";
    }
  | { readonly kind: "refresh" }
  | {
      readonly kind: "destroy";
      /** Keep the database; default: what the project's settings say. */
      readonly retainData?: boolean;
      /** Archive the repository; default: what the project's settings say. */
      readonly retainRepository?: boolean;
    };

/** Something that is still there after a destroy, by the word of its server. */
export interface Remaining {
  /** As `gitea`, `postgres`. */
  readonly system: string;
  /** As `repository projects/my-app`. */
  readonly what: string;
  /**
   * Why it is there: kept on purpose; its system did not answer; it is not gone yet; or it has the
   * project's name and not this stack's mark, so it was left alone.
   */
  readonly why: "retained" | "unreachable" | "left" | "not-ours";
}

/** One preview, up, refresh or destroy of one project's stack. */
export interface Operation {
  /** A UUID, version 7: sorts by time. */
  readonly id: string;
  readonly platform: string;
  readonly slug: string;
  readonly request: OperationRequest;
  readonly state: OperationState;
  /** Who asked: a key's name, or a person. */
  readonly actor: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  /** How often it was begun: more than 1 after a crash. */
  readonly attempts: number;
  /** Null until it has ended. */
  readonly outcome: Outcome | null;
  /** After a destroy: what is left, and what was kept on purpose. */
  readonly remaining: readonly Remaining[];
}

/** What happens in an operation, numbered from 1 without gaps. */
export interface NumberedEvent {
  readonly number: number;
  readonly at: Date;
  readonly event: OperationEvent | StateEvent;
}

export interface StateEvent {
  readonly event: "state";
  readonly state: OperationState;
  readonly attempts: number;
}
