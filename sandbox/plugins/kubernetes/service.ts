/** Waiting for a Service, by the rules of the official plugin (provider/pkg/await/service.go). */
import { parsePath } from "../../../core/engine-values.ts";
import { getAt } from "../property-path.ts";
import { isObject, type Json, type Properties } from "../values.ts";
import { isNotFound } from "./api-error.ts";
import type { Api } from "./api.ts";
import { describe, metadataOf, type Identity } from "./identity.ts";
import { NotReadyError, waitFor, type WaitOptions } from "./wait.ts";

/** A Service counts as ready once its endpoints have not changed for this long. */
const SETTLE_MS = 10_000;

const at = (object: Properties, path: string): Json | undefined => getAt(object, parsePath(path));
const listAt = (object: Properties, path: string): Json[] => {
  const found = at(object, path);
  return Array.isArray(found) ? found : [];
};

/** Whether an object is a Service with pods of its own. Any other Service is ready at once. */
export function hasEndpoints(object: Properties): boolean {
  if (object["kind"] !== "Service" || object["apiVersion"] !== "v1") return false;
  const selector = at(object, "spec.selector");
  const hasPods = isObject(selector) && Object.keys(selector).length > 0;
  const isHeadless = at(object, "spec.clusterIP") === "None";
  return hasPods && !isHeadless && at(object, "spec.type") !== "ExternalName";
}

/** Why a Service is not ready yet; empty if only the settling time is missing. */
export function missingFor(service: Properties, endpoints: Properties): string {
  const isBalanced = at(service, "spec.type") === "LoadBalancer";
  if (isBalanced && listAt(service, "status.loadBalancer.ingress").length === 0) {
    return "its load balancer has no address yet";
  }
  const isPending = listAt(endpoints, "subsets").some(
    (subset) => isObject(subset) && listAt(subset, "notReadyAddresses").length > 0,
  );
  return isPending ? "some of its pods are not ready" : "";
}

/** Waits until the Service's endpoints are ready and have settled. */
export async function untilSettled(
  api: Api,
  created: Properties,
  identity: Identity,
  options: WaitOptions,
): Promise<Properties> {
  let live = created;
  let endpoints: Properties = {};
  let version: string | undefined;
  let since = Date.now();
  return waitFor({
    ...options,
    state: "not ready",
    probe: async (report) => {
      report(`waiting for ${describe(live)}: its endpoints must settle`);
      live = await api.get(identity);
      endpoints = await api
        .get({ ...identity, apiVersion: "v1", kind: "Endpoints" })
        .catch((error: unknown) => {
          if (isNotFound(error)) return {};
          throw error;
        });
      const { resourceVersion } = metadataOf(endpoints);
      if (resourceVersion === undefined || resourceVersion !== version) {
        version = resourceVersion;
        since = Date.now();
      }
      const isSettled = Date.now() - since >= SETTLE_MS;
      return isSettled && missingFor(live, endpoints) === "" ? live : undefined;
    },
    failure: (ended) => {
      const reason = missingFor(live, endpoints) || "its endpoints did not settle";
      return new NotReadyError(`${ended}: ${reason}`, live);
    },
  });
}
