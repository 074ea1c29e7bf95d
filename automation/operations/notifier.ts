import type { Kysely } from "kysely";
import { z } from "zod";
import { operationState, type OperationState } from "../../core/operation.ts";
import { notifyReplicas } from "../store/notifier.ts";
import type { Schema } from "../store/schema.ts";

/** An operation has a new event. `state` is set if the event changed the state. */
export const OPERATION_CHANGES = {
  name: "rdev_operations",
  message: z.object({ id: z.uuid(), state: operationState.optional() }),
};

export function notify(db: Kysely<Schema>, id: string, state?: OperationState): Promise<void> {
  return notifyReplicas(db, OPERATION_CHANGES, { id, state });
}
