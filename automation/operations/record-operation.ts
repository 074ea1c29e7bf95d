import { asInfraError } from "../../core/errors.ts";
import { notBegun, type Outcome } from "../../core/operation.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { audited, auditLog, type AuditedResult } from "../audit/log.ts";
import { lastSuccess } from "../audit/queries.ts";
import type { Store } from "../store/store.ts";
import { ProjectSync } from "./project-sync.ts";

/** An operation that changes something, and who asked for it. */
export interface Recording {
  readonly store: Store;
  /** A person or a service: `ada@laptop`. */
  readonly actor: string;
  /** `staging` or `staging.my-app`. */
  readonly stack: string;
  readonly operation: "up" | "refresh" | "destroy" | "rollback";
  /** A destroy or rollback also deletes the stack's record. Default: false. */
  readonly remove?: boolean;
  /** The id that both audit events carry. Default: a new UUID. */
  readonly id?: string;
  /** The settings that the request of an `up` names. */
  readonly requested?: ProjectChanges;
  /** The version of the program that an `up` runs. */
  readonly programVersion?: string;
  /** Added to both audit events. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Runs an operation of a stack with a record of it. The audit trail has the intent before the work,
 * as `project.create` or `platform.destroy`, and the result after it; the project's row is updated.
 * `run` gets the settings that the row had before. Never throws: if a record cannot be written, the
 * outcome is failed and says so.
 */
export async function recordOperation(
  recording: Recording,
  run: (formerly?: ProjectChanges) => Promise<Outcome>,
): Promise<Outcome> {
  const { store, actor, stack, operation, remove = false, id, requested, details } = recording;
  const { programVersion } = recording;
  let outcome: Outcome | undefined;
  try {
    const name = parseStackName(stack);
    const project =
      name.kind === "project" ? new ProjectSync(store, name.slug, name.platform) : undefined;
    await project?.read();
    const action = {
      action: await actionOf(store, name, operation),
      ...(name.kind === "project" && { projectId: name.slug }),
      actor,
      component: "infra",
      ...(id !== undefined && { operation: id }),
      details: { stack, ...details },
    } as const;
    const work = async () => {
      if (operation === "up") await project?.beforeUp();
      outcome = await run(project?.settings);
      try {
        if (operation === "up") await project?.afterUp(outcome, { requested, programVersion });
        if (operation === "destroy" || operation === "rollback")
          await project?.afterDestroy(outcome, remove);
      } catch (error) {
        outcome = withError(outcome, error);
      }
      return outcome;
    };
    return await audited(auditLog(store), action, work, auditedResult);
  } catch (error) {
    return outcome ? withError(outcome, error) : notBegun(asInfraError(error));
  }
}

/** An `up` is a creation if no `up` of the stack has succeeded since its last destroy. */
async function actionOf(
  store: Store,
  name: StackName,
  operation: Recording["operation"],
): Promise<string> {
  const { kind } = name;
  if (operation !== "up") return `${kind}.${operation}`;
  const [create, update] = [`${kind}.create`, `${kind}.update`];
  const slug = name.kind === "project" ? name.slug : undefined;
  const last = await lastSuccess(store, [create, update, `${kind}.destroy`], slug);
  return last === create || last === update ? update : create;
}

function auditedResult({ result, changes, errors }: Outcome): AuditedResult {
  if (result === "succeeded") return { result: "success", details: { changes } };
  const cancelled = result === "cancelled";
  return { result: "failure", details: { changes, errors, ...(cancelled && { cancelled }) } };
}

function withError(outcome: Outcome, error: unknown): Outcome {
  const { code, message } = asInfraError(error);
  const result = outcome.result === "succeeded" ? "failed" : outcome.result;
  return { ...outcome, result, errors: [...outcome.errors, { code, message }] };
}
