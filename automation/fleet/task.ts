import { InfraError } from "../../core/errors.ts";
import type { Operations } from "../operations/operations.ts";
import type { Store } from "../store/store.ts";

/** Something that is done when it is due. Each call does a part of it and ends soon. */
export interface FleetTask {
  readonly name: string;
  run(): Promise<void>;
}

export interface FleetTaskOptions<Settings> {
  readonly store: Store;
  readonly platform: string;
  readonly operations: Pick<Operations, "submit">;
  /** The platform's settings of this task. */
  readonly settings: () => Promise<Settings>;
}

/** Whether the project is busy or gone. Then the task leaves it for the next tick, and goes on with others. */
export function isBusyOrGone(error: unknown): boolean {
  return error instanceof InfraError && ["RDEV_BUSY", "RDEV_NOT_FOUND"].includes(error.code);
}
