import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";

const QUIRK = join(import.meta.dirname, "../../../../automation/engine/quirks/lost-engine.ts");

/** Runs a module in a process of its own, because an engine that is lost stays lost in a process. */
async function inProcess(module: string): Promise<string> {
  const { stdout } = await execa(process.execPath, ["--input-type=module", "-e", module], {
    cwd: import.meta.dirname,
  });
  return stdout;
}

describe("the quirk of a lost engine", function () {
  this.timeout(20_000);

  it("makes a process refuse further programs", async () => {
    const output = await inProcess(`
      const { recordLostEngine, requireNoLostEngine } = await import(${JSON.stringify(QUIRK)});
      requireNoLostEngine();
      recordLostEngine();
      try { requireNoLostEngine(); } catch ({ code, message }) { console.log(code, message); }`);
    assert.match(output, /^RDEV_ENGINE .*Run this again in a new process/);
  });

  it("contract: the SDK reports success for a program whose engine is gone at its end", async () => {
    const output = await inProcess(`
      import grpc from "@grpc/grpc-js";
      import empty from "google-protobuf/google/protobuf/empty_pb.js";
      import server from "@pulumi/pulumi/automation/server.js";
      import language from "@pulumi/pulumi/proto/language_pb.js";
      import resource from "@pulumi/pulumi/proto/resource_pb.js";
      import resourceRpc from "@pulumi/pulumi/proto/resource_grpc_pb.js";
      const engine = new grpc.Server();
      engine.addService(resourceRpc.ResourceMonitorService, {
        supportsFeature: (call, reply) => reply(null, new resource.SupportsFeatureResponse()),
        registerResource: (call, reply) => {
          const response = new resource.RegisterResourceResponse();
          response.setUrn("urn:pulumi:s::p::pulumi:pulumi:Stack::p-s");
          reply(null, response);
        },
        registerResourceOutputs: (call, reply) => reply(null, new empty.Empty()),
        signalAndWaitForShutdown: (call, reply) => reply({ code: grpc.status.UNAVAILABLE }),
      });
      engine.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (failure, port) => {
        const request = new language.RunRequest();
        request.setProject("p");
        request.setStack("s");
        request.setParallel(1);
        request.setMonitorAddress("127.0.0.1:" + port);
        new server.LanguageServer(async () => ({})).run({ request }, (error, response) => {
          console.log(JSON.stringify({ error: error?.message ?? response.getError() }));
          process.exit();
        });
      });`);
    assert.deepEqual(JSON.parse(output), { error: "" });
  });
});
