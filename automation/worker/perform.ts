import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import { InfraError, problems } from "../../core/errors.ts";
import { projectStackName } from "../../core/stack-name.ts";
import type { StackConfig } from "../engine/config.ts";
import type { OperationEvent } from "../engine/events.ts";
import type { LockHolder } from "../engine/messages.ts";
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
} from "../engine/stack.ts";
import { StackState } from "../engine/state.ts";
import { leftovers } from "../leftovers/leftovers.ts";
import type { Remaining } from "../operations/operation.ts";
import type { Job } from "./job.ts";
import type { Done } from "./messages.ts";

export interface Surroundings {
  /** A work folder of this operation's own. */
  readonly workDir: string;
  readonly program: PulumiFn;
  readonly signal: AbortSignal;
  readonly onEvent: (event: OperationEvent) => void;
  readonly onStart: (pid: number) => void;
  readonly mayBreakLocks: (holders: readonly LockHolder[]) => Promise<boolean>;
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
  #killed = false;
  /** An earlier operation was interrupted in the middle of something. */
  #interrupted = false;

  constructor(job: Job, { onEvent, ...surroundings }: Surroundings) {
    this.#job = job;
    this.#stack = projectStackName(job.platform, job.slug);
    this.#options = {
      ...surroundings,
      onKilled: () => (this.#killed = true),
      onEvent: (event) => {
        this.#interrupted ||= isInterruptionWarning(event);
        onEvent(event);
      },
    };
  }

  run(): Promise<Result> {
    const { task } = this.#job;
    if (task.kind === "up") return this.#up(task);
    if (task.kind === "destroy") return this.#destroy();
    if (task.kind === "preview") return this.#preview(task);
    return this.#only(refresh(this.#stack, this.#options));
  }

  async #up({ isFirst, rollback }: Extract<Job["task"], { kind: "up" }>): Promise<Result> {
    const config = stackConfig(this.#job.settings);
    const outcome = await up(this.#stack, { ...this.#options, config });
    if (this.#killed || outcome.result === "cancelled") return this.#only(outcome);
    if (outcome.result === "succeeded") {
      if (this.#interrupted) await this.#forgetInterruption();
      return this.#only(outcome);
    }
    if (!isFirst) return this.#only(outcome);
    if (!rollback) return { ...(await this.#only(outcome)), remaining: await this.#leftovers() };
    const undone = await this.#destroy();
    const { changes, errors } = undone.outcome;
    return {
      ...undone,
      outcome: {
        ...outcome,
        changes: { ...outcome.changes, delete: outcome.changes.delete + changes.delete },
        outputs: {},
        durationMs: outcome.durationMs + undone.outcome.durationMs,
        errors: [...outcome.errors, ...errors],
      },
    };
  }

  async #preview({ of, ofNothing }: Extract<Job["task"], { kind: "preview" }>): Promise<Result> {
    if (of === "destroy") return this.#only(previewDestroy(this.#stack, this.#options));
    const config = stackConfig(this.#job.settings);
    const outcome = await preview(this.#stack, { ...this.#options, config, create: true });
    if (ofNothing) await removeRecord(this.#stack, this.#options);
    return this.#only(outcome);
  }

  /** The record of the stack goes only when nothing is left, by the word of the servers. */
  async #destroy(): Promise<Result> {
    const { retainData, retainRepository } = this.#job.settings;
    const deleted = await destroy(this.#stack, {
      ...this.#options,
      mayBeMissing: true,
      properties: [
        { type: DATABASE, property: "retain", value: retainData },
        { type: REPOSITORY, property: "retain", value: retainRepository },
      ].filter(({ value }) => value !== undefined),
    });
    if (this.#killed || deleted.result === "cancelled") return this.#only(deleted);
    const remaining = await this.#leftovers();
    const still = remaining.filter(({ why }) => why !== "retained");
    if (deleted.result === "failed" || still.length > 0) {
      return { ...(await this.#only(withRemaining(deleted, still))), remaining };
    }
    const removed = await removeRecord(this.#stack, { ...this.#options, onEvent: () => undefined });
    const outcome =
      removed.result === "succeeded" ? deleted : { ...removed, ...changesOf(deleted) };
    return { ...(await this.#only(outcome)), remaining, gone: outcome.result === "succeeded" };
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

  async #leftovers(): Promise<Remaining[]> {
    const { platform, slug, settings } = this.#job;
    const { retainData = false, retainRepository = false } = settings;
    try {
      const name = { kind: "project", platform, slug } as const;
      const place = await platformSettingsOf(name, this.#options.workDir);
      return await leftovers({ slug, settings: place, retainData, retainRepository });
    } catch (error) {
      const why = error instanceof InfraError ? `: ${error.message}` : "";
      const what = `settings of the platform ${platform}, which tell where to look${why}`;
      return [{ system: "pulumi", what, why: "unreachable" }];
    }
  }

  async #only(outcome: Outcome | Promise<Outcome>): Promise<Result> {
    return { outcome: await outcome, remaining: [], gone: false, killed: this.#killed };
  }
}

const DATABASE = "pulumi-nodejs:dynamic/postgres:Database";
const REPOSITORY = "pulumi-nodejs:dynamic/gitea:Repository";

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
