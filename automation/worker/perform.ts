import { asInfraError, InfraError, problems } from "../../core/errors.ts";
import { connectionSecrets } from "../../core/connections.ts";
import { DATABASE, REPOSITORY } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { projectStackName } from "../../core/stack-name.ts";
import type { StackConfig } from "../engine/config.ts";
import { NO_CHANGES, type OperationEvent } from "../engine/events.ts";
import { CommandFailure } from "../engine/command.ts";
import { commandFailure, type LockHolder } from "../engine/messages.ts";
import type { Outcome } from "../engine/outcome.ts";
import { platformSettingsOf } from "../engine/requirements.ts";
import {
  destroy,
  preview,
  previewDestroy,
  refresh,
  removeRecord,
  up,
  type OperationOptions,
  type StackProgram,
} from "../engine/stack.ts";
import { ownerOfStack, StackState } from "../engine/state.ts";
import type { Owner } from "../../core/ownership.ts";
import { findLeftovers } from "../leftovers.ts";
import type { Remaining } from "../operations/operation.ts";
import type { Job } from "./job.ts";
import type { Done } from "./messages.ts";

export interface Surroundings {
  /** A work folder of this operation's own. */
  readonly workDir: string;
  readonly program: StackProgram;
  readonly signal: AbortSignal;
  readonly onEvent: (event: OperationEvent) => void;
  readonly onStart: (pid: number) => void;
  readonly mayBreakLocks: (holders: readonly LockHolder[]) => Promise<boolean>;
  /** Nothing of the project is there: resolves once that is on record. */
  readonly onFoundEmpty: () => Promise<void>;
}

type Result = Omit<Done, "type">;

/** Does one operation, with all that belongs to it. Never throws. */
export async function perform(job: Job, surroundings: Surroundings): Promise<Result> {
  return new Performance(job, surroundings).run();
}

class Performance {
  readonly #job: Job;
  readonly #stack: string;
  readonly #options: OperationOptions & { readonly workDir: string };
  readonly #onFoundEmpty: () => Promise<void>;
  #killed = false;
  /** An earlier operation was interrupted in the middle of something. */
  #interrupted = false;
  /** The engine has begun to work on resources. */
  #hasBegun = false;
  /** It found resources that this operation has not made. */
  #metOthers = false;

  constructor(job: Job, { onEvent, onFoundEmpty, ...surroundings }: Surroundings) {
    this.#job = job;
    this.#onFoundEmpty = onFoundEmpty;
    this.#stack = projectStackName(job.platform, job.slug);
    this.#options = {
      ...surroundings,
      onKilled: () => (this.#killed = true),
      onEvent: (event) => {
        this.#interrupted ||= isInterruptionWarning(event);
        if ("op" in event) {
          this.#hasBegun = true;
          this.#metOthers ||= !event.component && event.op !== "create";
        }
        onEvent(event);
      },
    };
  }

  run(): Promise<Result> {
    const { task } = this.#job;
    if (task.kind === "up") return this.#up(task);
    if (task.kind === "destroy" || task.kind === "rollback") return this.#destroy();
    if (task.kind === "preview") return this.#preview(task);
    return this.#only(refresh(this.#stack, this.#options));
  }

  async #up({ needsEmpty }: Extract<Job["task"], { kind: "up" }>): Promise<Result> {
    const { formerly } = this.#job;
    const before = await this.#stateBefore();
    if (needsEmpty) {
      const refusal = await this.#notEmpty(before).catch(asInfraError);
      if (refusal) return this.#only(notBegun(refusal));
      await this.#onFoundEmpty();
    }
    const config = stackConfig(this.#job.settings);
    const outcome = await up(this.#stack, { ...this.#options, config, formerly });
    if (this.#killed || outcome.result === "cancelled") return this.#only(outcome);
    if (outcome.result === "succeeded") {
      if (this.#interrupted) await this.#forgetInterruption();
      return this.#only(outcome);
    }
    const wasUp = before instanceof InfraError || before?.hasOutputs === true;
    const remaining = wasUp ? [] : await this.#leftovers(await this.#owner(), outcome.settings);
    // An earlier attempt's own resources are met as well, where that had found nothing before it.
    const mayUndo = this.#hasBegun && !(needsEmpty && this.#metOthers);
    return { ...(await this.#only(outcome)), remaining, mayUndo };
  }

  /** Undefined where there is no stack. */
  async #stateBefore(): Promise<StackState | InfraError | undefined> {
    try {
      return await StackState.find(this.#stack, this.#options.workDir);
    } catch (error) {
      if (!(error instanceof CommandFailure)) return asInfraError(error);
      return commandFailure(error.stderr, this.#stack, connectionSecrets());
    }
  }

  /**
   * Why a rollback could delete what this operation did not make. The servers are asked as well: a
   * database may have been kept by an earlier destroy, or a state lost.
   */
  async #notEmpty(before: StackState | InfraError | undefined): Promise<InfraError | undefined> {
    if (before instanceof InfraError) return before;
    const inState = before?.resources ?? [];
    if (inState.length > 0) {
      const count = `its stack ${this.#stack} holds ${inState.length} resources`;
      return noRollback(this.#job.slug, [count]);
    }
    const { platform, slug } = this.#job;
    const place = await platformSettingsOf(
      { kind: "project", platform, slug },
      this.#options.workDir,
    );
    const owner = before?.owner ?? { platform, project: slug, stack: "" };
    // An `up` adopts nothing that is not marked as its own, so a rollback does not delete it.
    const all = await findLeftovers({ slug, owner, settings: place });
    const found = all.filter(({ why }) => why !== "not-ours");
    if (found.length === 0) return undefined;
    return noRollback(
      slug,
      found.map(({ system, what, why }) => `${system}: ${what} (${why})`),
    );
  }

  async #preview({ of, ofNothing }: Extract<Job["task"], { kind: "preview" }>): Promise<Result> {
    if (of === "destroy") return this.#only(previewDestroy(this.#stack, this.#options));
    const { formerly } = this.#job;
    const config = stackConfig(this.#job.settings);
    const options = { ...this.#options, config, formerly, create: true };
    const outcome = await preview(this.#stack, options);
    if (ofNothing) await removeRecord(this.#stack, this.#options);
    return this.#only(outcome);
  }

  /** The record of the stack goes only when nothing is left, by the word of the servers. */
  async #destroy(): Promise<Result> {
    const kept = await this.#kept().catch(asInfraError);
    if (kept instanceof InfraError) return this.#only(notBegun(kept));
    const { retainData, retainRepository } = kept;
    const owner = await this.#owner();
    const deleted = await destroy(this.#stack, {
      ...this.#options,
      mayBeMissing: true,
      properties: [
        { type: DATABASE, property: "retain", value: retainData },
        { type: REPOSITORY, property: "retain", value: retainRepository },
      ].filter(({ value }) => value !== undefined),
    });
    if (this.#killed || deleted.result === "cancelled") return this.#only(deleted);
    const remaining = await this.#leftovers(owner, kept);
    const still = remaining.filter(({ why }) => why !== "retained" && why !== "not-ours");
    if (deleted.result === "failed" || still.length > 0) {
      return { ...(await this.#only(withRemaining(deleted, still))), remaining };
    }
    const removed = await removeRecord(this.#stack, { ...this.#options, onEvent: () => undefined });
    const outcome =
      removed.result === "succeeded" ? deleted : { ...removed, ...changesOf(deleted) };
    return { ...(await this.#only(outcome)), remaining, gone: outcome.result === "succeeded" };
  }

  /** What a destroy keeps: as the request says, else as the stack's state says. */
  async #kept(): Promise<ProjectChanges> {
    const { settings, formerly } = this.#job;
    const before = await this.#stateBefore();
    if (before instanceof InfraError) throw before;
    return { ...(before ? before.keptByDestroy(formerly) : formerly), ...settings };
  }

  /** The engine goes on telling of what was interrupted, until that is taken out of the state. */
  async #forgetInterruption(): Promise<void> {
    try {
      const state = await StackState.read(this.#stack, this.#options.workDir);
      if (!state.isHalfMade) await state.forgetInterrupted();
    } catch {
      // the next `up` will
    }
  }

  /** Undefined where the state cannot be read: then nothing tells whose an object is. */
  async #owner(): Promise<Owner | undefined> {
    return ownerOfStack(this.#stack, this.#options.workDir).catch(() => undefined);
  }

  async #leftovers(owner: Owner | undefined, settings: ProjectChanges = {}): Promise<Remaining[]> {
    const { platform, slug } = this.#job;
    const { retainData = false, retainRepository = false } = settings;
    try {
      const name = { kind: "project", platform, slug } as const;
      const place = await platformSettingsOf(name, this.#options.workDir);
      if (!owner) throw new InfraError("RDEV_ENGINE", "The state of the stack cannot be read.");
      return await findLeftovers({ slug, owner, settings: place, retainData, retainRepository });
    } catch (error) {
      const why = error instanceof InfraError ? `: ${error.message}` : "";
      const what = `settings of the platform ${platform}, which tell where to look${why}`;
      return [{ system: "pulumi", what, why: "unreachable" }];
    }
  }

  async #only(outcome: Outcome | Promise<Outcome>): Promise<Result> {
    const rest = { remaining: [], gone: false, mayUndo: false, killed: this.#killed };
    return { outcome: await outcome, ...rest };
  }
}

function isInterruptionWarning(event: OperationEvent): boolean {
  return event.event === "diagnostic" && /^Attempting to deploy .* pending op/.test(event.message);
}

/** As a stack's file holds it. */
function stackConfig({
  sizes,
  retainData,
  retainRepository,
  ...texts
}: Job["settings"]): StackConfig {
  return {
    ...texts,
    ...(sizes !== undefined && { sizes }),
    ...(retainData !== undefined && { retainData: String(retainData) }),
    ...(retainRepository !== undefined && { retainRepository: String(retainRepository) }),
  };
}

function changesOf({ changes, durationMs }: Outcome): Pick<Outcome, "changes" | "durationMs"> {
  return { changes, durationMs };
}

function noRollback(slug: string, there: readonly string[]): InfraError {
  return problems(
    "RDEV_ROLLBACK",
    `A rollback of "${slug}" would delete more than this operation makes. Ask for it again with ` +
      '"onFailure": "keep". There already:',
    there,
  );
}

function notBegun({ code, message }: InfraError): Outcome {
  const errors = [{ code, message: `Nothing was done. ${message}` }];
  return { result: "failed", changes: NO_CHANGES, outputs: {}, durationMs: 0, errors };
}

function withRemaining(outcome: Outcome, still: readonly Remaining[]): Outcome {
  if (still.length === 0) return outcome;
  const things = still.map(({ system, what, why }) => `${system}: ${what} (${why})`);
  const { code, message } = problems(
    "RDEV_REMAINS",
    "Not all is gone. What is known of it is kept, and the next destroy goes on from there:",
    things,
  );
  return { ...outcome, result: "failed", errors: [...outcome.errors, { code, message }] };
}
