/** Waiting for the cluster: rollouts, and the end of deleted objects. */
import { setTimeout as sleep } from "node:timers/promises";
import { getAt } from "../property-path.ts";
import { isObject, textOf, type Json, type Properties } from "../values.ts";
import { isNotFound } from "./api-error.ts";
import type { Api } from "./api.ts";
import { describe, metadataOf, type Identity } from "./identity.ts";
import { complaintsOf, conditionsOf, readiness } from "./readiness.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;
const SHOWN_EVENTS = 3;

export interface WaitOptions {
  readonly timeoutSeconds: number;
  readonly cancelled: AbortSignal;
  readonly onProgress: (message: string) => void;
}

/** The wait ended before the object was ready; `live` is its last known state. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
  readonly live: Properties;

  constructor(message: string, live: Properties) {
    super(message);
    this.live = live;
  }
}

export interface Wait<T> extends WaitOptions {
  /** Returns undefined while there is nothing to return yet. `report` shows the progress. */
  readonly probe: (report: (message: string) => void) => Promise<T | undefined>;
  /** What the object is meanwhile, for the error: "not ready". */
  readonly state: string;
  /** The error of a wait that ended without a result; `reason` is "not ready after 2 s". */
  readonly failure: (reason: string) => Error | Promise<Error>;
}

/** Probes with growing pauses until there is a result, the time is over or the wait is cancelled. */
export async function waitFor<T>(wait: Wait<T>): Promise<T> {
  const { probe, state, failure, timeoutSeconds, cancelled, onProgress } = wait;
  const end = Date.now() + timeoutSeconds * 1000;
  let shown = "";
  const report = (message: string) => {
    if (message !== shown) onProgress(message);
    shown = message;
  };
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    const found = await probe(report);
    if (found !== undefined) {
      onProgress("");
      return found;
    }
    if (cancelled.aborted) throw await failure("the wait was cancelled");
    if (Date.now() + pause > end) throw await failure(`${state} after ${timeoutSeconds} s`);
    await sleep(pause, undefined, { signal: cancelled }).catch(() => undefined);
  }
}

/** Waits until the object is ready. Throws NotReadyError with the complaints of its pods. */
export async function untilReady(
  api: Api,
  created: Properties,
  identity: Identity,
  options: WaitOptions,
): Promise<Properties> {
  let live = created;
  let isCurrent = true;
  return waitFor({
    ...options,
    state: "not ready",
    probe: async (report) => {
      if (!isCurrent) {
        live = await api.get(identity).catch((error: unknown) => {
          if (isNotFound(error)) throw new NotReadyError("it was deleted during the wait", live);
          throw error;
        });
      }
      isCurrent = false;
      const now = readiness(live);
      if (now.state === "ready") return live;
      report(`waiting for ${describe(live)}: ${now.reason}`);
      if (now.state === "waiting") return undefined;
      throw new NotReadyError(await explain(api, live, now.reason), live);
    },
    failure: async (ended) => {
      const now = readiness(live);
      const reason = now.state === "ready" ? "" : now.reason;
      return new NotReadyError(`${ended}: ${await explain(api, live, reason)}`, live);
    },
  });
}

/** The reason, with the messages of the object's conditions, pods and events. */
async function explain(api: Api, live: Properties, reason: string): Promise<string> {
  const conditions = conditionsOf(live)
    .filter(({ type, status }) => (type === "ReplicaFailure" ? "True" : "False") === status)
    .flatMap(({ message }) => (message === undefined ? [] : [message]));
  const details = await Promise.all([podComplaints(api, live), warnings(api, live)]);
  const all = new Set([reason, ...conditions, ...details.flat()]);
  return [...all].join("\n  ");
}

async function podComplaints(api: Api, live: Properties): Promise<string[]> {
  if (live["kind"] === "Pod") return complaintsOf(live);
  const labels = getAt(live, ["spec", "selector", "matchLabels"]);
  const { namespace } = metadataOf(live);
  if (!isObject(labels) || namespace === undefined) return [];
  const labelSelector = Object.entries(labels).map(([key, value]) => `${key}=${textOf(value)}`);
  // A failing look-up of details must not hide the error that they belong to.
  const pods = await api
    .list({ apiVersion: "v1", kind: "Pod", namespace }, { labelSelector: labelSelector.join(",") })
    .catch(() => []);
  return pods.flatMap(complaintsOf);
}

async function warnings(api: Api, live: Properties): Promise<string[]> {
  const { namespace, uid = "" } = metadataOf(live);
  if (namespace === undefined) return [];
  const fieldSelector = `involvedObject.uid=${uid},type=Warning`;
  const events = await api
    .list({ apiVersion: "v1", kind: "Event", namespace }, { fieldSelector })
    .catch(() => []);
  const messages = new Set(events.map((event) => textOf(event["message"])));
  return [...messages].slice(-SHOWN_EVENTS);
}

/** Waits until the object is gone, or another object has its name. */
export async function untilGone(
  api: Api,
  identity: Identity,
  uid: string | undefined,
  options: WaitOptions,
): Promise<void> {
  let live: Properties = {};
  await waitFor({
    ...options,
    state: "it still exists",
    probe: async (report) => {
      try {
        live = await api.get(identity);
      } catch (error) {
        if (isNotFound(error)) return true;
        throw error;
      }
      if (uid !== undefined && metadataOf(live).uid !== uid) return true;
      report(`waiting until ${describe(live)} is gone${obstaclesOf(live)}`);
      return undefined;
    },
    failure: (ended) =>
      new Error(`${describe(live)} is being deleted, but ${ended}${obstaclesOf(live)}`),
  });
}

/** The finalizers of Kubernetes' own controllers, which every deletion has. */
const USUAL_FINALIZERS = ["foregroundDeletion", "kubernetes", "orphan"];

/** What delays a deletion: finalizers, and the conditions of a namespace about its contents. */
function obstaclesOf(object: Properties): string {
  const finalizers = [
    ...list(getAt(object, ["metadata", "finalizers"])),
    ...list(getAt(object, ["spec", "finalizers"])),
  ].filter((finalizer) => !USUAL_FINALIZERS.includes(finalizer));
  const conditions = object["kind"] === "Namespace" ? conditionsOf(object) : [];
  const messages = conditions
    .filter(({ status, message }) => status === "True" && message !== undefined)
    .map(({ message }) => `\n  ${message ?? ""}`);
  const held = finalizers.length === 0 ? "" : `: its finalizers are ${finalizers.join(", ")}`;
  return `${held}${messages.join("")}`;
}

const list = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(textOf) : []);
