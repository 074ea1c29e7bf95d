import { asInfraError } from "../../core/errors.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { parseStackName, type StackName } from "../../core/stack-name.ts";
import { audited, auditLog, type AuditedResult } from "../audit/log.ts";
import { lastSuccess } from "../audit/queries.ts";
import { NO_CHANGES, type Outcome } from "../../core/operation.ts";
import type { Store } from "../store/store.ts";
import { ProjectRow } from "./project-row.ts";

/** An operation that changes something, and who wants it. */
export interface Recording {
  readonly store: Store;
  /** A person or a service: `ada@laptop`. */
  readonly actor: string;
  /** `staging` or `staging.my-app`. */
  readonly stack: string;
  readonly operation: "up" | "refresh" | "destroy" | "rollback";
  /** A destroy or rollback removes the stack's record, too. Default: false. */
  readonly remove?: boolean;
  /** What both of its events carry. Default: a new UUID. */
  readonly id?: string;
  /** The settings that an up was asked for. */
  readonly asked?: ProjectChanges;
  /** What it was asked for, as its config. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Runs an operation of a stack once its intent is in the audit trail, as `project.create` or
 * `platform.destroy`; writes there how it ended; and keeps the project's row, with the id of its
 * environment. `run` gets the settings that the row had before. Never throws: of what cannot be
 * written the outcome tells, as failed.
 */
export async function recorded(
  recording: Recording,
  run: (formerly?: ProjectChanges) => Promise<Outcome>,
): Promise<Outcome> {
  const { store, actor, stack, operation, remove = false, id, asked, details } = recording;
  let outcome: Outcome | undefined;
  try {
    const name = parseStackName(stack);
    const project = projectRow(store, name);
    await project?.read();
    const action = {
      action: await actionOf(store, name, operation),
      ...(name.kind === "project" && { projectId: name.slug }),
      ...{ actor, component: "infra" },
      ...(id !== undefined && { operation: id }),
      details: { stack, ...details },
    };
    const work = async () => {
      if (operation === "up") await project?.beforeUp();
      outcome = await run(project?.settings);
      try {
        if (operation === "up") await project?.afterUp(outcome, asked);
        if (operation === "destroy" || operation === "rollback")
          await project?.afterDestroy(outcome, remove);
      } catch (error) {
        outcome = withError(outcome, error);
      }
      return outcome;
    };
    return await audited(auditLog(store), action, work, ending);
  } catch (error) {
    return outcome ? withError(outcome, error) : notBegun(error);
  }
}

function projectRow(store: Store, name: StackName): ProjectRow | undefined {
  return name.kind === "project" ? new ProjectRow(store, name.slug, name.platform) : undefined;
}

/** An up creates what has never been up, or was destroyed since. */
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

function ending({ result, changes, errors }: Outcome): AuditedResult {
  if (result === "succeeded") return { result: "success", details: { changes } };
  const cancelled = result === "cancelled";
  return { result: "failure", details: { changes, errors, ...(cancelled && { cancelled }) } };
}

function withError(outcome: Outcome, error: unknown): Outcome {
  const { code, message } = asInfraError(error);
  const result = outcome.result === "succeeded" ? "failed" : outcome.result;
  return { ...outcome, result, errors: [...outcome.errors, { code, message }] };
}

function notBegun(error: unknown): Outcome {
  const { code, message } = asInfraError(error);
  const errors = [{ code, message: `Nothing was done. ${message}` }];
  return { result: "failed", changes: NO_CHANGES, outputs: {}, durationMs: 0, errors };
}
