import type { Outcome } from "../../core/operation.ts";
import { prepareDestroy } from "./before-destroy.ts";
import { inScratchFolder, PACKAGE } from "./folders.ts";
import { operate } from "./operate.ts";
import type { DestroyOptions, OperationOptions, PreviewOptions, UpOptions } from "./options.ts";
import { outcomeOf } from "./outcome.ts";
import { StackState } from "./state.ts";

/** After a failure the engine continues with everything that does not depend on it. */
const CONTINUE = { continueOnError: true } as const;

/** Makes a stack what its program says. Creates the stack if there is none. Never throws. */
export function up(stack: string, options: UpOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, create: true, runsProgram: true }, ({ handle, common }) =>
    handle.up({ ...common, ...CONTINUE, ...refreshing(options) }),
  );
}

function refreshing({ refresh: isFirst = false }: UpOptions): { refresh?: true } {
  return isFirst ? { refresh: true } : {};
}

/** What `up` would change. Writes nothing into the folder. Never throws. */
export function preview(stack: string, options: PreviewOptions = {}): Promise<Outcome> {
  return withoutTrace(stack, options, (workDir) =>
    operate(
      stack,
      { ...options, workDir, runsProgram: true, changesNothing: true },
      ({ handle, common }) => handle.preview({ ...common, ...refreshing(options) }),
    ),
  );
}

/** Makes the state what the servers say. Never throws. */
export function refresh(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, refreshes: true }, ({ handle, common }) =>
    handle.refresh(common),
  );
}

/** What `refresh` would change in the state. Writes nothing into the folder. Never throws. */
export function previewRefresh(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return withoutTrace(stack, options, (workDir) =>
    operate(
      stack,
      { ...options, workDir, refreshes: true, changesNothing: true },
      ({ handle, common }) => handle.previewRefresh(common),
    ),
  );
}

/**
 * Deletes everything that a stack made. Succeeds for an empty stack. Refuses a platform that still has
 * projects. Never throws.
 */
export function destroy(stack: string, options: DestroyOptions = {}): Promise<Outcome> {
  const { remove = false, properties = [] } = options;
  return operate(
    stack,
    { ...options, deletes: true },
    async ({ handle, common, name, control }) => {
      const state = options.state ?? (await StackState.read(stack, handle.workspace.workDir));
      const unknown = await prepareDestroy(state).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      for (const each of properties) state.set(each);
      await state.save(control);
      await handle.destroy({ ...common, ...CONTINUE });
      // A server could not say what an interrupted `up` made there, so the stack's record must stay.
      if (unknown) throw unknown.error;
      // People write a platform's config, but `up` writes a project's.
      const preserveConfig = name.kind === "platform";
      if (remove) await handle.workspace.removeStack(stack, { preserveConfig });
    },
  );
}

/** Removes the record of an empty stack. Succeeds if there is none. Never throws. */
export function removeRecord(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return operate(stack, { ...options, mayBeMissing: true }, async ({ handle }) => {
    await handle.workspace.removeStack(stack);
  });
}

/** What `destroy` would delete. Writes nothing into the folder. Never throws. */
export function previewDestroy(stack: string, options: OperationOptions = {}): Promise<Outcome> {
  return withoutTrace(stack, options, (workDir) =>
    operate(
      stack,
      { ...options, workDir, deletes: true, changesNothing: true },
      ({ handle, common }) => handle.previewDestroy(common),
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
    outcomeOf({ events: [], outputs: {}, durationMs: 0, failure, cancelled: false }),
  );
}
