import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";
import * as settings from "@pulumi/pulumi/runtime/settings.js";
import { useOwnConnections } from "../../../../automation/engine/quirks/own-connections.ts";

const { UNAVAILABLE, UNIMPLEMENTED } = grpc.status;

/** Starts a server that stands in for an engine's monitor and implements nothing. Returns its port. */
async function listen(server: grpc.Server, port = 0): Promise<number> {
  const credentials = grpc.ServerCredentials.createInsecure();
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
}

/** The SDK's own client, made like in an operation. */
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

/** Calls an engine that has the port of one that ended before its program. */
async function callOnReusedPort(): Promise<number> {
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
    return await call(monitor);
  } finally {
    left.close();
    monitor.close();
    engine.forceShutdown();
  }
}

describe("the quirk of shared connections", () => {
  after(() => pulumi.runtime.resetOptions("", "", -1, "", "", false, ""));

  it("is avoided: an engine is reached on the port of one that was killed", async () => {
    useOwnConnections();
    assert.equal(await callOnReusedPort(), UNIMPLEMENTED);
  });

  it("contract: without the workaround, that engine is not reached", async () => {
    const { grpcClientOptions } = settings as unknown as {
      readonly grpcClientOptions: Record<string, unknown>;
    };
    delete grpcClientOptions["grpc.use_local_subchannel_pool"];
    try {
      assert.equal(await callOnReusedPort(), UNAVAILABLE);
    } finally {
      useOwnConnections();
    }
  });
});
