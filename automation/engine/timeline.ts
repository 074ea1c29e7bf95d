import { AsyncLocalStorage } from "node:async_hooks";
import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import type { Timing } from "../../core/operation.ts";

/** Shorter steps are left out, because an unchanged stack has dozens of them. */
const SHORTEST_MS = 5;

type Kind = Timing["kind"];

/** Records how long the steps of one operation take. */
export class Timeline {
  readonly #origin = performance.now();
  readonly #timings: Timing[] = [];

  /** The steps that have ended, in the order of their starts. */
  get timings(): Timing[] {
    return this.#timings.toSorted((one, other) => one.startMs - other.startMs);
  }

  /** Begins a step, and returns the function that ends it. A step that never ends is not recorded. */
  begin(kind: Kind, name: string): () => void {
    const start = performance.now();
    return () => {
      const durationMs = Math.round(performance.now() - start);
      if (durationMs < SHORTEST_MS) return;
      this.#timings.push({ kind, name, startMs: Math.round(start - this.#origin), durationMs });
    };
  }

  /** Runs `work` as a step. */
  async time<T>(kind: Kind, name: string, work: () => Promise<T>): Promise<T> {
    const end = this.begin(kind, name);
    try {
      return await work();
    } finally {
      end();
    }
  }
}

const current = new AsyncLocalStorage<Timeline>();

/** Gives `work` the timeline of the caller's operation, or a new one. */
export function withTimeline<T>(work: (timeline: Timeline) => Promise<T>): Promise<T> {
  const timeline = current.getStore() ?? new Timeline();
  return current.run(timeline, () => work(timeline));
}

/** Runs `work` as a step of the current operation, if there is one. */
export function timed<T>(kind: Kind, name: string, work: () => Promise<T>): Promise<T> {
  const timeline = current.getStore();
  return timeline ? timeline.time(kind, name, work) : work();
}

/** Reads the steps of the engine from its events. */
export class EngineTimeline {
  readonly #timeline: Timeline;
  readonly #resources = new Map<string, () => void>();
  readonly #waits = new Map<string, () => void>();
  #endOfStart: (() => void) | undefined;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** A command of the CLI has started. If it runs an engine, the engine's events follow. */
  onStart(): void {
    this.#endOfStart = this.#timeline.begin("engine", "start");
  }

  onEvent({ preludeEvent, resourcePreEvent, resOutputsEvent, resOpFailedEvent }: EngineEvent) {
    if (preludeEvent) this.#endOfStart?.();
    const started = resourcePreEvent?.metadata.urn;
    if (started) this.#resources.set(started, this.#timeline.begin("resource", nameOf(started)));
    const ended = (resOutputsEvent ?? resOpFailedEvent)?.metadata.urn;
    if (ended === undefined) return;
    this.#waits.get(ended)?.();
    this.#waits.delete(ended);
    this.#resources.get(ended)?.();
    this.#resources.delete(ended);
  }

  /** A resource waits for what the message says, until it has another message or ends. */
  onWait(urn: string, message: string): void {
    this.#waits.get(urn)?.();
    this.#waits.set(urn, this.#timeline.begin("wait", `${nameOf(urn)}: ${message}`));
  }
}

/** The type and the name of a resource, `kubernetes:core/v1:Service my-app`. */
function nameOf(urn: string): string {
  const [, , types = "", ...name] = urn.split("::");
  return `${types.split("$").at(-1) ?? ""} ${name.join("::")}`;
}
