import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";
import { useOwnConnections } from "../../../automation/engine/own-connections.ts";

const { UNAVAILABLE, UNIMPLEMENTED } = grpc.status;

/** Stands in for an engine's monitor that can do nothing; gives its port. */
async function listen(server: grpc.Server, port = 0): Promise<number> {
  const credentials = grpc.ServerCredentials.createInsecure();
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
}

/** The SDK's own client, as a run makes it. */
function monitorAt(port: number): grpc.Client {
  pulumi.runtime.resetOptions("p", "s", 1, "", `127.0.0.1:${port}`, false, "");
  return pulumi.runtime.getMonitor() as unknown as grpc.Client;
}

/** The status of a call's answer. */
function call(client: grpc.Client): Promise<number> {
  const nothing = () => Buffer.alloc(0);
  return new Promise((resolve) => {
    client.makeUnaryRequest("/none/None", nothing, nothing, {}, (error) =>
      resolve(error?.code ?? grpc.status.OK),
    );
  });
}

describe("own connections", () => {
  before(useOwnConnections);

  after(() => pulumi.runtime.resetOptions("", "", -1, "", "", false, ""));

  it("reach an engine at the port of one that ended before its program", async () => {
    const ended = new grpc.Server();
    const port = await listen(ended);
    const left = monitorAt(port);
    assert.equal(await call(left), UNIMPLEMENTED);
    ended.forceShutdown();
    assert.equal(await call(left), UNAVAILABLE);

    const engine = new grpc.Server();
    await listen(engine, port);
    const monitor = monitorAt(port);
    try {
      assert.equal(await call(monitor), UNIMPLEMENTED);
    } finally {
      left.close();
      monitor.close();
      engine.forceShutdown();
    }
  });
});
