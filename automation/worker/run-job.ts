import { type Adoptable, adoptableText } from "../../core/adoption.ts";
import { connectionSecrets } from "../../core/connections.ts";
import { asInfraError, InfraError, problems } from "../../core/errors.ts";
import {
  notBegun,
  type OperationEvent,
  type Outcome,
  type Remaining,
} from "../../core/operation.ts";
import type { Owner } from "../../core/ownership.ts";
import { losesData, planOf } from "../../core/previews/plan.ts";
import { DEFAULT_BLOCK, parseBlockRules } from "../../core/previews/policies.ts";
import type { Step } from "../../core/previews/step.ts";
import { DATABASE, REPOSITORY } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { CommandFailure } from "../engine/command.ts";
import type { StackConfig } from "../engine/config.ts";
import { commandFailure } from "../engine/messages.ts";
import type { OperationOptions, PreviewOptions, StackProgram } from "../engine/options.ts";
import { isInterruptionWarning, type LockHolder } from "../engine/quirks/cli-text.ts";
import { platformSettingsOf } from "../engine/requirements.ts";
import { destroy, preview, previewDestroy, refresh, removeRecord, up } from "../engine/stack.ts";
import { ownerIn, ownerOfStack, StackState } from "../engine/state.ts";
import { withTimeline } from "../engine/timeline.ts";
import { lookForDrift, refusalOfFix } from "../drift/check.ts";
import { findLeftovers } from "../leftovers.ts";
import { adopt, previewAdoption } from "../adopt/adopt.ts";
import type { Fact, Job, JobResult } from "./messages.ts";

interface JobContext {
  /** A work folder that no other operation uses. */
  readonly workDir: string;
  readonly program: StackProgram;
  readonly signal: AbortSignal;
  /** Added to the environment of Pulumi's CLI. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onEvent: (event: OperationEvent) => void;
  readonly onStart: (pid: number) => void;
  readonly mayBreakLocks: (holders: readonly LockHolder[]) => Promise<boolean>;
  /** Called before an `up` begins. Resolves once the database has recorded the fact. */
  readonly onFact: (fact: Fact) => Promise<void>;
}

type Result = Omit<JobResult, "type">;

/** Runs one operation, with the checks before it and the search for leftovers after it. Never throws. */
export async function runJob(job: Job, context: JobContext): Promise<Result> {
  return new JobRun(job, context).run();
}

class JobRun {
  readonly #job: Job;
  readonly #stack: string;
  readonly #options: OperationOptions & { readonly workDir: string };
  readonly #onFact: (fact: Fact) => Promise<void>;
  #wasKilled = false;
  /** The state lists operations that an earlier run began and did not finish. */
  #foundInterruption = false;
  #hasStarted = false;
  /** The engine found resources that this operation has not made. */
  #foundOthers = false;

  constructor(job: Job, { onEvent, onFact, ...context }: JobContext) {
    this.#job = job;
    this.#onFact = onFact;
    this.#stack = projectStackName(job.platform, job.slug);
    this.#options = {
      ...context,
      onKilled: () => (this.#wasKilled = true),
      onEvent: (event) => {
        if (event.event === "diagnostic") {
          this.#foundInterruption ||= isInterruptionWarning(event.message);
        }
        if ("op" in event) {
          this.#hasStarted = true;
          this.#foundOthers ||= !event.component && event.op !== "create";
        }
        onEvent(event);
      },
    };
  }

  /** The result has the times of everything: the checks before, the operation, the search after it. */
  run(): Promise<Result> {
    return withTimeline(async (timeline) => {
      const { outcome, ...rest } = await this.#run();
      return { ...rest, outcome: { ...outcome, timings: timeline.timings } };
    });
  }

  async #run(): Promise<Result> {
    const { task } = this.#job;
    if (task.kind === "up") return this.#up(task);
    if (task.kind === "destroy" || task.kind === "rollback") return this.#destroy();
    if (task.kind === "preview") return this.#preview(task);
    return this.#result(await refresh(this.#stack, this.#options));
  }

  async #up(task: Extract<Job["task"], { kind: "up" }>): Promise<Result> {
    const { needsEmpty, adopt: adopts, fix, approved } = task;
    const { formerly } = this.#job;
    if (fix !== undefined && fix !== "all") {
      const { outcome, drift, planned } = await this.#lookForDrift();
      const refusal = drift && refusalOfFix(this.#job.slug, fix, drift, planned);
      if (refusal) return this.#result(notBegun(refusal));
      if (!drift) return this.#result(outcome);
    }
    const before = await this.#readState();
    if (needsEmpty) {
      const refusal = await this.#refusalUnlessEmpty(before).catch(asInfraError);
      if (refusal) return this.#result(notBegun(refusal));
      await this.#onFact("empty");
    }
    if (approved) {
      const refused = await this.#refusalUnlessApproved(approved);
      if (refused) return this.#result(refused);
      await this.#onFact("approved");
    }
    const { settings: changes } = this.#job;
    const config = stackConfig(changes);
    const options = { ...this.#options, config, formerly, refresh: fix !== undefined };
    const outcome = adopts
      ? await adopt(this.#stack, { ...options, changes, onFound: this.#onFound })
      : await up(this.#stack, options);
    if (this.#wasKilled || outcome.result === "cancelled") return this.#result(outcome);
    if (outcome.result === "succeeded") {
      if (this.#foundInterruption) await this.#forgetInterruption();
      return this.#result(outcome);
    }
    const wasUp = before instanceof InfraError || before?.hasOutputs === true;
    const remaining = wasUp ? [] : await this.#leftoversAfter(outcome.settings);
    // A retry also finds the resources of the attempts before it. Those may be undone too, because
    // needsEmpty is false then and the first attempt found nothing.
    const mayRollBack = this.#hasStarted && !(needsEmpty && this.#foundOthers);
    return this.#result(outcome, { remaining, mayRollBack });
  }

  readonly #onFound = (object: Adoptable): void => {
    const message = adoptableText(object);
    this.#options.onEvent?.({ event: "diagnostic", severity: "info", message });
  };

  /** Returns undefined if there is no stack. */
  async #readState(): Promise<StackState | InfraError | undefined> {
    try {
      return await StackState.find(this.#stack, this.#options.workDir);
    } catch (error) {
      if (!(error instanceof CommandFailure)) return asInfraError(error);
      return commandFailure(error.stderr, this.#stack, connectionSecrets());
    }
  }

  /**
   * The error if a rollback could delete what this operation did not make. It also asks the servers,
   * because an earlier destroy may have retained a database, or a state may have been lost.
   */
  async #refusalUnlessEmpty(
    before: StackState | InfraError | undefined,
  ): Promise<InfraError | undefined> {
    if (before instanceof InfraError) return before;
    const inState = before?.objects ?? [];
    if (inState.length > 0) {
      return noRollback(this.#job.slug, [
        `its stack ${this.#stack} holds ${inState.length} resources`,
      ]);
    }
    const { platform, slug } = this.#job;
    const settings = await this.#platformSettings();
    const owner = before?.owner ?? { platform, project: slug, stack: "" };
    const all = await findLeftovers({ slug, owner, settings });
    // An `up` adopts nothing without its own mark, so a rollback does not delete it either.
    const found = all.filter(({ why }) => why !== "not-ours");
    if (found.length === 0) return undefined;
    return noRollback(slug, found.map(describeLeftover));
  }

  /** The outcome if the plan is not the approved one. Its preview reports no events. */
  async #refusalUnlessApproved(
    approved: NonNullable<Extract<Job["task"], { kind: "up" }>["approved"]>,
  ): Promise<Outcome | undefined> {
    const { plan, ...outcome } = await this.#planned({ create: false, onEvent: () => undefined });
    if (!plan) return outcome;
    const isApproved = plan.fingerprint === approved.fingerprint;
    if (isApproved && (approved.dataLoss || !losesData(plan))) return undefined;
    const why = isApproved
      ? "The plan loses data, and that was not approved."
      : "The plan is not the approved one any more: the project or what it runs on has changed since.";
    const { durationMs } = outcome;
    return { ...notBegun(new InfraError("RDEV_PLAN", why)), durationMs, plan };
  }

  /** Previews an `up`. The outcome has the plan if the preview succeeded. */
  async #planned(more: Pick<PreviewOptions, "create" | "onEvent">): Promise<Outcome> {
    const { formerly } = this.#job;
    const config = stackConfig(this.#job.settings);
    const steps: Step[] = [];
    const onStep = (step: Step) => void steps.push(step);
    const options = { ...this.#options, config, formerly, onStep, ...more };
    const outcome = await preview(this.#stack, options);
    if (outcome.result !== "succeeded") return outcome;
    const rules = parseBlockRules(DEFAULT_BLOCK);
    return {
      ...outcome,
      plan: planOf(steps, { secrets: connectionSecrets(), isProject: true, rules }),
    };
  }

  async #preview(task: Extract<Job["task"], { kind: "preview" }>): Promise<Result> {
    const { of, isNewProject, adopt: adopts } = task;
    if (task.drift) {
      const { outcome, drift } = await this.#lookForDrift();
      return this.#result(outcome, { drift });
    }
    if (adopts) {
      const { formerly, settings: changes } = this.#job;
      return this.#result(
        await previewAdoption(this.#stack, {
          ...this.#options,
          formerly,
          changes,
          onFound: this.#onFound,
        }),
      );
    }
    if (of === "destroy") {
      return this.#result(await previewDestroy(this.#stack, this.#options));
    }
    const outcome = await this.#planned({ create: true });
    if (isNewProject) await removeRecord(this.#stack, this.#options);
    return this.#result(outcome);
  }

  /** Its events are not those of the operation: a fix would otherwise report everything twice. */
  #lookForDrift() {
    const { formerly } = this.#job;
    return lookForDrift(this.#stack, { ...this.#options, onEvent: this.#onWarning, formerly });
  }

  readonly #onWarning = (event: OperationEvent): void => {
    if (event.event === "diagnostic") this.#options.onEvent?.(event);
  };

  /** Removes the stack's record only if the servers say that nothing is left. */
  async #destroy(): Promise<Result> {
    const state = await this.#readState();
    if (state instanceof InfraError) return this.#result(notBegun(state));
    let kept: ProjectChanges;
    try {
      kept = this.#keptByDestroy(state);
    } catch (error) {
      return this.#result(notBegun(asInfraError(error)));
    }
    const { retainData, retainRepository } = kept;
    const owner = ownerIn(this.#stack, state);
    const deleted = await destroy(this.#stack, {
      ...this.#options,
      mayBeMissing: true,
      state,
      properties: [
        { type: DATABASE, property: "retain", value: retainData },
        { type: REPOSITORY, property: "retain", value: retainRepository },
      ].filter(({ value }) => value !== undefined),
    });
    if (this.#wasKilled || deleted.result === "cancelled") return this.#result(deleted);
    const remaining = await this.#leftovers(owner, kept);
    const unwanted = remaining.filter(({ why }) => why !== "retained" && why !== "not-ours");
    if (deleted.result === "failed" || unwanted.length > 0) {
      return this.#result(withRemaining(deleted, unwanted), { remaining });
    }
    const removed = await removeRecord(this.#stack, { ...this.#options, onEvent: () => undefined });
    const { changes, durationMs } = deleted;
    const outcome = removed.result === "succeeded" ? deleted : { ...removed, changes, durationMs };
    return this.#result(outcome, { remaining, gone: outcome.result === "succeeded" });
  }

  /** What the request says, else what the state records, else what the database has. */
  #keptByDestroy(state: StackState | undefined): ProjectChanges {
    const { settings, formerly } = this.#job;
    return { ...(state ? state.keptByDestroy(formerly) : formerly), ...settings };
  }

  /** Otherwise the engine would warn about the interrupted operations in every later run. */
  async #forgetInterruption(): Promise<void> {
    try {
      const state = await StackState.read(this.#stack, this.#options.workDir);
      if (state.halfCreated.length === 0) await state.forgetInterrupted();
    } catch {
      // the next `up` tries again
    }
  }

  /** Reads the owner from the state that the operation left. */
  async #leftoversAfter(settings: ProjectChanges | undefined): Promise<Remaining[]> {
    const owner = await ownerOfStack(this.#stack, this.#options.workDir).catch(() => undefined);
    return this.#leftovers(owner, settings);
  }

  /** Without an owner, nothing tells whose an object is. */
  async #leftovers(owner: Owner | undefined, settings: ProjectChanges = {}): Promise<Remaining[]> {
    const { platform, slug } = this.#job;
    const { retainData = false, retainRepository = false } = settings;
    try {
      const found = await this.#platformSettings();
      if (!owner) throw new InfraError("RDEV_ENGINE", "The state of the stack cannot be read.");
      return await findLeftovers({ slug, owner, settings: found, retainData, retainRepository });
    } catch (error) {
      const reason = error instanceof InfraError ? `: ${error.message}` : "";
      const what = `settings of the platform ${platform}, which say where to look${reason}`;
      return [{ system: "pulumi", what, why: "unreachable" }];
    }
  }

  #platformSettings() {
    const { platform, slug } = this.#job;
    return platformSettingsOf({ kind: "project", platform, slug }, this.#options.workDir);
  }

  #result(outcome: Outcome, more: Partial<Result> = {}): Result {
    const defaults = { remaining: [], gone: false, mayRollBack: false, killed: this.#wasKilled };
    return { outcome, ...defaults, ...more };
  }
}

/** In the form of a stack's file, which holds texts and objects. */
function stackConfig({
  sizes,
  retainData,
  retainRepository,
  stopped,
  ...texts
}: Job["settings"]): StackConfig {
  return {
    ...texts,
    ...(sizes !== undefined && { sizes }),
    ...(retainData !== undefined && { retainData: String(retainData) }),
    ...(retainRepository !== undefined && { retainRepository: String(retainRepository) }),
    ...(stopped !== undefined && { stopped: String(stopped) }),
  };
}

function noRollback(slug: string, existing: readonly string[]): InfraError {
  return problems(
    "RDEV_ROLLBACK",
    `A rollback of "${slug}" would delete more than this operation makes. Send the request again with ` +
      '"onFailure": "keep". These exist already:',
    existing,
  );
}

function withRemaining(outcome: Outcome, remaining: readonly Remaining[]): Outcome {
  if (remaining.length === 0) return outcome;
  const { code, message } = problems(
    "RDEV_REMAINS",
    "The destroy is not complete. The stack's record stays, and the next destroy continues from there. " +
      "These are left:",
    remaining.map(describeLeftover),
  );
  return { ...outcome, result: "failed", errors: [...outcome.errors, { code, message }] };
}

function describeLeftover({ system, what, why }: Remaining): string {
  return `${system}: ${what} (${why})`;
}
