import assert from "node:assert/strict";
import { hasEndpoints, missingFor } from "../../../../sandbox/plugins/kubernetes/service.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";

const service = (spec: Properties, status: Properties = {}): Properties => ({
  apiVersion: "v1",
  kind: "Service",
  spec: { selector: { app: "web" }, clusterIP: "10.96.0.7", ...spec },
  status,
});

describe("a Service", () => {
  it("is waited for where it has pods and an address of its own", () => {
    assert.equal(hasEndpoints(service({})), true);
    assert.equal(hasEndpoints(service({ type: "LoadBalancer" })), true);
    const specs: Properties[] = [{ selector: {} }, { clusterIP: "None" }, { type: "ExternalName" }];
    for (const spec of specs) {
      assert.equal(hasEndpoints(service(spec)), false, JSON.stringify(spec));
    }
    assert.equal(hasEndpoints({ apiVersion: "apps/v1", kind: "Deployment" }), false);
  });

  it("waits for pods that are not ready, and not for pods that are not there", () => {
    assert.equal(missingFor(service({}), {}), "");
    assert.equal(missingFor(service({}), { subsets: [{ addresses: [{ ip: "10.0.0.1" }] }] }), "");
    const pending = { subsets: [{ notReadyAddresses: [{ ip: "10.0.0.1" }] }] };
    assert.match(missingFor(service({}), pending), /not ready/);
  });

  it("of a load balancer waits for its address", () => {
    const spec = { type: "LoadBalancer" };
    assert.match(missingFor(service(spec), {}), /has no address/);
    const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
    assert.equal(missingFor(service(spec, status), {}), "");
  });
});
