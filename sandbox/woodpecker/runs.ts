import { posix } from "node:path";
import pLimit from "p-limit";
import type { Backend, StepOrder, Workspace } from "./backend.ts";
import { maskOf } from "./masking.ts";
import { pipelineState, workflowState } from "./status.ts";
import type { CancelInfo, Entry, Pipeline, PipelineStep, PipelineWorkflow } from "./store.ts";
import type { User } from "./users.ts";
import type { Step, Workflow } from "./workflows.ts";

/** How many workflows run at once. The real agent's default is one for each agent. */
const CAPACITY = 2;
const AGENT = { id: 1, machine: "sandbox" };
const WORKSPACE_BASE = "/woodpecker";
/** The error of a step that was killed (pipeline/errors/runtime.go). */
const CANCELED = "Canceled";
const MS_A_MINUTE = 60_000;

/** One workflow while it runs. */
interface Run {
  readonly entry: Entry;
  readonly pipeline: Pipeline;
  readonly workflow: PipelineWorkflow;
  readonly plan: Workflow;
  /** The user who activated the repository. */
  readonly owner: User;
  readonly mask: (line: string) => string;
  /** Aborted by a cancel and by the timeout. */
  readonly signal: AbortSignal;
  hasFailed: boolean;
}

/** Runs the queued pipelines, as Woodpecker's queue and one agent do. */
export class Runs {
  readonly #backend: Backend;
  readonly #limit = pLimit(CAPACITY);
  /** By the pipeline's id. */
  readonly #active = new Map<number, { cancel: AbortController; done: Promise<unknown> }>();
  #lastLogId = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Queues a pipeline, and cancels the older ones that it supersedes. */
  add(entry: Entry, pipeline: Pipeline, plans: readonly Workflow[], owner: User): void {
    this.#supersede(entry, pipeline);
    const cancel = new AbortController();
    const secrets = [...entry.secrets.values()].map(({ value }) => value);
    const done = Promise.all(
      (pipeline.workflows ?? []).map((workflow, index) =>
        this.#limit(async () => {
          const plan = plans[index];
          if (!plan || cancel.signal.aborted) return;
          const deadline = AbortSignal.timeout(entry.repo.timeout * MS_A_MINUTE);
          const signal = AbortSignal.any([cancel.signal, deadline]);
          const run = { entry, pipeline, workflow, plan, owner, signal, hasFailed: false };
          await this.#runWorkflow({ ...run, mask: maskOf(secrets) });
        }),
      ),
    ).finally(() => this.#active.delete(pipeline.id));
    this.#active.set(pipeline.id, { cancel, done });
  }

  /**
   * Cancels a pipeline (server/pipeline/cancel.go). The processes of running steps are killed; the
   * steps' states change once they have ended. False if the pipeline is already over.
   */
  cancel(pipeline: Pipeline, info: CancelInfo): boolean {
    const { workflows = [] } = pipeline;
    if (pipeline.status !== "running" && pipeline.status !== "pending") return false;
    const hasBegun = workflows.some(({ state }) => state !== "pending");
    for (const workflow of workflows) {
      if (workflow.state === "pending") workflow.state = "skipped";
      for (const step of workflow.children) if (step.state === "pending") step.state = "canceled";
    }
    pipeline.status = hasBegun ? "killed" : "canceled";
    pipeline.finished = pipeline.updated = now();
    pipeline.cancel_info = info;
    this.#active.get(pipeline.id)?.cancel.abort();
    return true;
  }

  /** Kills everything that runs, and waits for its end. */
  async close(): Promise<void> {
    const active = [...this.#active.values()];
    for (const { cancel } of active) cancel.abort();
    await Promise.all(active.map(({ done }) => done));
  }

  #supersede({ repo, pipelines }: Entry, pipeline: Pipeline): void {
    if (!repo.cancel_previous_pipeline_events?.includes(pipeline.event)) return;
    for (const other of pipelines) {
      if (other.id === pipeline.id || other.event !== pipeline.event) continue;
      const isSame =
        pipeline.event === "push"
          ? other.branch === pipeline.branch
          : other.refspec === pipeline.refspec;
      if (isSame) this.cancel(other, { superseded_by: pipeline.number });
    }
  }

  async #runWorkflow(run: Run): Promise<void> {
    begin(run);
    try {
      const workspace = await this.#backend.prepare();
      try {
        await this.#runStages(run, workspace);
      } finally {
        await workspace.remove();
      }
    } catch (error) {
      run.workflow.error = messageOf(error);
    }
    finish(run);
  }

  /** Steps that are detached run until the last stage is done. */
  async #runStages(run: Run, workspace: Workspace): Promise<void> {
    const { plan, workflow, signal } = run;
    const end = new AbortController();
    const detached: Promise<unknown>[] = [];
    let index = 0;
    for (const stage of plan.stages) {
      if (signal.aborted) break;
      const steps = stage.map((step) => ({ step, row: workflow.children[index++] }));
      await Promise.all(
        steps.map(async ({ step, row }) => {
          if (!row) return;
          const running = this.#runStep(run, workspace, step, row, end.signal);
          if (step.detach) detached.push(running);
          else if (!(await running)) run.hasFailed = true;
        }),
      );
    }
    end.abort();
    await Promise.all(detached);
  }

  /** Whether the steps after it may run. */
  async #runStep(
    run: Run,
    workspace: Workspace,
    step: Step,
    row: PipelineStep,
    end: AbortSignal,
  ): Promise<boolean> {
    const { pipeline, workflow, signal, hasFailed } = run;
    if (hasFailed ? !step.runsOn.failure : !step.runsOn.success) {
      row.state = "skipped";
      return true;
    }
    row.state = "running";
    row.started = now();
    try {
      row.exit_code = await workspace.run(await orderOf(run, step, row), {
        signal: step.detach ? AbortSignal.any([signal, end]) : signal,
        onLine: this.#logOf(run, row),
      });
    } catch (error) {
      row.error = workflow.error = messageOf(error);
    }
    row.finished = now();
    if (signal.aborted) {
      row.state = "killed";
      row.error = CANCELED;
      return false;
    }
    // A detached step did its work when the others are done.
    const succeeded = row.error === undefined && (row.exit_code === 0 || end.aborted);
    row.state = succeeded ? "success" : "failure";
    if (!succeeded && step.failure === "cancel") {
      this.cancel(pipeline, { canceled_by_step: step.name });
    }
    return succeeded || (step.failure === "ignore" && row.error === undefined);
  }

  #logOf({ entry, mask }: Run, step: PipelineStep): (line: string) => void {
    const lines = entry.logs.get(step.id) ?? [];
    entry.logs.set(step.id, lines);
    const start = Date.now();
    return (line) => {
      lines.push({
        id: (this.#lastLogId += 1),
        step_id: step.id,
        time: Math.floor((Date.now() - start) / 1000),
        line: lines.length,
        data: Buffer.from(mask(line)).toString("base64"),
        type: 0,
      });
    };
  }
}

/** What the agent gives to the backend, with the variables that are known only now (runtime/step.go). */
async function orderOf(run: Run, step: Step, row: PipelineStep): Promise<StepOrder> {
  const { entry, workflow, plan, owner, hasFailed } = run;
  const { hostname, pathname } = new URL(entry.repo.forge_url);
  const workspace = posix.join(WORKSPACE_BASE, "src", hostname, pathname);
  return {
    type: step.type,
    image: step.image,
    commands: step.commands,
    entrypoint: step.entrypoint,
    workspace,
    workingDirectory: posix.resolve(workspace, step.directory),
    environment: {
      ...plan.environment,
      CI_WORKSPACE: workspace,
      ...step.environment,
      ...(step.type === "clone" && (await cloneCredentials(entry, owner))),
      CI_MACHINE: AGENT.machine,
      CI_SYSTEM_PLATFORM: `linux/${process.arch === "x64" ? "amd64" : process.arch}`,
      CI_PIPELINE_STATUS: hasFailed ? "failure" : "success",
      CI_PIPELINE_STARTED: String(workflow.started),
      CI_STEP_STARTED: String(row.started),
      CI_STEP_TYPE: step.type,
      CI_STEP_NAME: step.name,
    },
  };
}

function begin({ pipeline, workflow }: Run): void {
  workflow.state = "running";
  workflow.started = now();
  workflow.agent_id = AGENT.id;
  if (pipeline.status !== "pending") return;
  pipeline.status = "running";
  pipeline.started = workflow.started;
}

/** Only the clone step gets them, and only for a private repository (server/pipeline/items.go). */
async function cloneCredentials({ repo }: Entry, owner: User): Promise<Record<string, string>> {
  if (!repo.private) return {};
  const { login, token } = await owner.gitea.cloneAccount();
  return {
    CI_NETRC_MACHINE: new URL(repo.clone_url).hostname,
    CI_NETRC_USERNAME: login,
    CI_NETRC_PASSWORD: token,
  };
}

/** The final states, with those of steps that never began (server/rpc/rpc.go). */
function finish({ pipeline, workflow, plan, signal }: Run): void {
  for (const step of workflow.children) if (step.state === "pending") step.state = "killed";
  const failures = plan.stages.flat().map(({ failure }) => failure);
  const isIgnored = (step: PipelineStep) => failures[workflow.children.indexOf(step)] !== "fail";
  workflow.finished = now();
  workflow.state = workflowState(workflow.children, isIgnored);
  if (workflow.error !== undefined) workflow.state = "failure";
  if (signal.aborted) {
    workflow.state = "killed";
    workflow.error = CANCELED;
  }
  pipeline.updated = workflow.finished;
  const all = pipeline.workflows ?? [];
  if (all.some(({ state }) => state === "running" || state === "pending")) return;
  pipeline.status = pipelineState(all);
  pipeline.finished = workflow.finished;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
