/** Waiting for what the cluster does by itself: rollouts, and the end of what is deleted. */
import { setTimeout as sleep } from "node:timers/promises";
import { getAt } from "../property-path.ts";
import { isObject, textOf, type Json, type Properties } from "../values.ts";
import { isNotFound } from "./api-error.ts";
import type { Api } from "./api.ts";
import { describe, metadataOf, type Identity } from "./identity.ts";
import { complaintsOf, conditionsOf, readiness } from "./readiness.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

export interface WaitOptions {
  readonly timeoutSeconds: number;
  readonly cancelled: AbortSignal;
  readonly onProgress: (message: string) => void;
}

/** The wait ended before the object was ready; `live` is what was last seen of it. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
  readonly live: Properties;

  constructor(message: string, live: Properties) {
    super(message);
    this.live = live;
  }
}

/** Calls `look` again and again until it answers, with pauses that grow; undefined after the time. */
export async function poll<T>(
  look: () => Promise<T | undefined>,
  { timeoutSeconds, cancelled }: WaitOptions,
): Promise<T | undefined> {
  const end = Date.now() + timeoutSeconds * 1000;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() + pause > end || cancelled.aborted) return undefined;
    await sleep(pause, undefined, { signal: cancelled }).catch(() => undefined);
  }
}

/** Waits until the object is ready. Throws NotReadyError, which says what its pods say. */
export async function untilReady(
  api: Api,
  created: Properties,
  identity: Identity,
  options: WaitOptions,
): Promise<Properties> {
  let live = created;
  let reason = "";
  const look = async () => {
    const now = readiness(live);
    if (now.state === "ready") return live;
    if (now.reason !== reason) {
      reason = now.reason;
      options.onProgress(`waiting for ${describe(live)}: ${reason}`);
    }
    if (now.state === "failed") throw new NotReadyError(await explain(api, live, reason), live);
    const seen = await api.get(identity).catch((error: unknown) => {
      if (isNotFound(error))
        throw new NotReadyError("it was deleted while it was waited for", live);
      throw error;
    });
    live = seen;
    return readiness(live).state === "ready" ? live : undefined;
  };
  const ready = await poll(look, options);
  if (ready !== undefined) {
    options.onProgress("");
    return ready;
  }
  const ended = options.cancelled.aborted
    ? "the wait was cancelled"
    : `not ready after ${options.timeoutSeconds} s`;
  throw new NotReadyError(`${ended}: ${await explain(api, live, reason)}`, live);
}

/** The reason, with what the object's conditions, its pods and its events say. */
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
  // An explanation that cannot be had must not hide what it explains.
  const pods = await api
    .list({ apiVersion: "v1", kind: "Pod", namespace }, { labelSelector: labelSelector.join(",") })
    .catch(() => []);
  return pods.flatMap(complaintsOf);
}

const SHOWN_EVENTS = 3;

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

/** Waits until the object is gone, or another one has its name. */
export async function untilGone(
  api: Api,
  identity: Identity,
  uid: string | undefined,
  options: WaitOptions,
): Promise<void> {
  let left: Properties = {};
  let told = "";
  const look = async () => {
    try {
      left = await api.get(identity);
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
    if (uid !== undefined && metadataOf(left).uid !== uid) return true;
    const progress = `waiting until ${describe(left)} is gone${obstaclesOf(left)}`;
    if (progress !== told) {
      told = progress;
      options.onProgress(progress);
    }
    return undefined;
  };
  if ((await poll(look, options)) !== undefined) {
    options.onProgress("");
    return;
  }
  const ended = options.cancelled.aborted
    ? "the wait for its end was cancelled"
    : `it is still there after ${options.timeoutSeconds} s`;
  throw new Error(`${describe(left)} is being deleted, but ${ended}${obstaclesOf(left)}`);
}

/** The finalizers of Kubernetes' own controllers, which every deletion passes. */
const USUAL_FINALIZERS = ["foregroundDeletion", "kubernetes", "orphan"];

/** What holds a deletion up: finalizers, and what a namespace says about its contents. */
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
