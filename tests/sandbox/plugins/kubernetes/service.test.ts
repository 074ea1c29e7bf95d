import assert from "node:assert/strict";
import { isServed, unserved } from "../../../../sandbox/plugins/kubernetes/service.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";

const service = (spec: Properties, status: Properties = {}): Properties => ({
  apiVersion: "v1",
  kind: "Service",
  spec: { selector: { app: "web" }, clusterIP: "10.96.0.7", ...spec },
  status,
});

describe("a Service", () => {
  it("is waited for where it has pods and an address of its own", () => {
    assert.equal(isServed(service({})), true);
    assert.equal(isServed(service({ type: "LoadBalancer" })), true);
    const specs: Properties[] = [{ selector: {} }, { clusterIP: "None" }, { type: "ExternalName" }];
    for (const spec of specs) {
      assert.equal(isServed(service(spec)), false, JSON.stringify(spec));
    }
    assert.equal(isServed({ apiVersion: "apps/v1", kind: "Deployment" }), false);
  });

  it("waits for pods that are not ready, and not for pods that are not there", () => {
    assert.equal(unserved(service({}), {}), "");
    assert.equal(unserved(service({}), { subsets: [{ addresses: [{ ip: "10.0.0.1" }] }] }), "");
    const pending = { subsets: [{ notReadyAddresses: [{ ip: "10.0.0.1" }] }] };
    assert.match(unserved(service({}), pending), /not ready/);
  });

  it("of a load balancer waits for its address", () => {
    const spec = { type: "LoadBalancer" };
    assert.match(unserved(service(spec), {}), /no address/);
    const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
    assert.equal(unserved(service(spec, status), {}), "");
  });
});
