/** Waiting for a Service, as the official plugin does (provider/pkg/await/service.go). */
import { parsePath } from "../../../core/engine-values.ts";
import { getAt } from "../property-path.ts";
import { isObject, textOf, type Json, type Properties } from "../values.ts";
import { isNotFound } from "./api-error.ts";
import type { Api } from "./api.ts";
import { describe, metadataOf, type Identity } from "./identity.ts";
import { NotReadyError, poll, type WaitOptions } from "./wait.ts";

/** How long a Service's endpoints must stay as they are before they count. */
const SETTLE_MS = 10_000;

const at = (object: Properties, path: string): Json | undefined => getAt(object, parsePath(path));
const listAt = (object: Properties, path: string): Json[] => {
  const found = at(object, path);
  return Array.isArray(found) ? found : [];
};

/** Whether an object is a Service that is waited for: one without pods of its own is ready at once. */
export function isServed(object: Properties): boolean {
  if (object["kind"] !== "Service" || object["apiVersion"] !== "v1") return false;
  const selector = at(object, "spec.selector");
  const hasPods = isObject(selector) && Object.keys(selector).length > 0;
  const isHeadless = at(object, "spec.clusterIP") === "None";
  return hasPods && !isHeadless && at(object, "spec.type") !== "ExternalName";
}

/** What a Service waits for still; empty when it is ready but for the time that it must stay so. */
export function unserved(service: Properties, endpoints: Properties): string {
  const isBalanced = at(service, "spec.type") === "LoadBalancer";
  if (isBalanced && listAt(service, "status.loadBalancer.ingress").length === 0) {
    return "it has no address of a load balancer yet";
  }
  const isPending = listAt(endpoints, "subsets").some(
    (subset) => isObject(subset) && listAt(subset, "notReadyAddresses").length > 0,
  );
  return isPending ? "some of its pods are not ready" : "";
}

/** Waits until the Service's endpoints have been ready, and the same, for a while. */
export async function untilServed(
  api: Api,
  created: Properties,
  identity: Identity,
  options: WaitOptions,
): Promise<Properties> {
  let live = created;
  let seen = "";
  let since = Date.now();
  let last: Properties = {};
  options.onProgress(`waiting for ${describe(live)}: its endpoints must settle`);
  const ready = await poll(async () => {
    live = await api.get(identity);
    const endpoints = await api
      .get({ ...identity, apiVersion: "v1", kind: "Endpoints" })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    last = endpoints ?? {};
    const version = endpoints && textOf(metadataOf(endpoints).resourceVersion ?? "");
    if (version === undefined || version !== seen) {
      seen = version ?? "";
      since = Date.now();
    }
    const isSettled = endpoints !== undefined && Date.now() - since >= SETTLE_MS;
    return isSettled && unserved(live, endpoints) === "" ? live : undefined;
  }, options);
  if (ready !== undefined) {
    options.onProgress("");
    return ready;
  }
  const ended = options.cancelled.aborted
    ? "the wait was cancelled"
    : `not ready after ${options.timeoutSeconds} s`;
  throw new NotReadyError(
    `${ended}: ${unserved(live, last) || "its endpoints did not settle"}`,
    live,
  );
}
