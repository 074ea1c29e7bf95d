import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import { startPluginProxy, type PluginProxy } from "../../../automation/previews/plugin-proxy.ts";

const SERVICE: grpc.ServiceDefinition = providerRpc.ResourceProviderService;
const METHODS = Object.entries(SERVICE).filter(([, { responseStream }]) => !responseStream);
const asIs = (bytes: Buffer): Buffer => bytes;

describe("the proxy of a plugin that engines share", () => {
  const seen: string[] = [];
  /** What the plugin answers with instead, by method. */
  const errors = new Map<string, Partial<grpc.ServiceError>>();
  let plugin: grpc.Server;
  let proxy: PluginProxy;
  let client: grpc.Client;

  /** Calls a method as an engine does. */
  function call(name: string, request?: { serializeBinary(): Uint8Array }): Promise<unknown> {
    const { path = "" } = SERVICE[name] ?? {};
    const bytes = Buffer.from(request?.serializeBinary() ?? []);
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, asIs, asIs, bytes, (error, response) =>
        error ? reject(error) : resolve(response),
      );
    });
  }
  const refused = { code: grpc.status.FAILED_PRECONDITION, details: "a preview changes nothing" };
  const create = (preview: boolean) => {
    const request = new providerProto.CreateRequest();
    request.setUrn("urn:pulumi:staging::rdev::a:b:C::c");
    request.setPreview(preview);
    return request;
  };
  const update = (preview: boolean) => {
    const request = new providerProto.UpdateRequest();
    request.setId("an-id");
    request.setPreview(preview);
    return request;
  };

  before(async () => {
    plugin = new grpc.Server();
    const handlers: grpc.UntypedServiceImplementation = {};
    const raw: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
    for (const [name, method] of METHODS) {
      const serialize = { requestSerialize: asIs, responseSerialize: asIs };
      raw[name] = { ...method, ...serialize, requestDeserialize: asIs, responseDeserialize: asIs };
      const handler: grpc.handleUnaryCall<Buffer, Buffer> = ({ request }, reply) => {
        seen.push(name);
        const error = errors.get(name);
        if (error) reply(error);
        else reply(null, request); // what came through is to be seen
      };
      handlers[name] = handler;
    }
    plugin.addService(raw, handlers);
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      plugin.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    proxy = await startPluginProxy(true);
    proxy.connect(`127.0.0.1:${port}`);
    client = new grpc.Client(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure());
  });
  after(() => {
    client.close();
    proxy.close();
    plugin.forceShutdown();
  });
  beforeEach(() => {
    seen.length = 0;
    errors.clear();
  });

  it("hands on no call that creates, updates or deletes", async () => {
    await assert.rejects(call("create", create(false)), refused);
    await assert.rejects(call("update", update(false)), refused);
    await assert.rejects(call("delete"), refused);
    assert.deepEqual(seen, []);
  });

  it("hands on the question what a creation or an update would come to", async () => {
    for (const [name, request] of [
      ["create", create(true)],
      ["update", update(true)],
    ] as const) {
      assert.deepEqual(await call(name, request), Buffer.from(request.serializeBinary()));
    }
    assert.deepEqual(seen, ["create", "update"]);
  });

  it("hands on what only reads", async () => {
    const names = ["check", "diff", "read", "invoke", "checkConfig", "getSchema"];
    for (const name of names) await call(name);
    assert.deepEqual(seen, names);
  });

  it("knows every call of the SDK that may change something", () => {
    // A new one must be looked at: is it to be handed on?
    assert.deepEqual(METHODS.map(([name]) => name).toSorted(), [
      ...["attach", "call", "cancel", "check", "checkConfig", "configure", "construct", "create"],
      ...["delete", "diff", "diffConfig", "getMapping", "getMappings", "getPluginInfo"],
      ...["getSchema", "handshake", "invoke", "parameterize", "read", "update"],
    ]);
  });

  it("hands an error of the plugin on, with all that it says", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from([8, 3]));
    errors.set("check", { code: grpc.status.INVALID_ARGUMENT, details: "no such kind", metadata });
    const error = await call("check").then(
      () => assert.fail("it did not fail"),
      (thrown: grpc.ServiceError) => thrown,
    );
    assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
    assert.equal(error.details, "no such kind");
    assert.deepEqual(error.metadata.get("grpc-status-details-bin"), [Buffer.from([8, 3])]);
  });

  it("keeps the plugin alive when an engine ends", async () => {
    await call("cancel");
    assert.deepEqual(seen, []);
  });

  it("refuses a second configuration that differs, and gives the first its answer again", async () => {
    const configuration = (namespace: string) => {
      const request = new providerProto.ConfigureRequest();
      request.setArgs(structProto.Struct.fromJavaScript({ namespace }));
      return request;
    };
    await call("configure", configuration("one"));
    await call("configure", configuration("one"));
    assert.deepEqual(seen, ["configure"]);
    await assert.rejects(call("configure", configuration("two")), {
      code: grpc.status.FAILED_PRECONDITION,
      details: /stacks of another configuration/,
    });
  });
});
