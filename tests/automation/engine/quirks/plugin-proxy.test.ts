import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import {
  startPluginProxy,
  type PluginProxy,
} from "../../../../automation/engine/quirks/plugin-proxy.ts";
import { METHODS, RawEngine, RawPlugin } from "../../../support/raw-plugin.ts";

describe("the proxy of a plugin that previews share", () => {
  let plugin: RawPlugin;
  let proxy: PluginProxy;
  let engine: RawEngine;
  const call = (...args: Parameters<RawEngine["call"]>) => engine.call(...args);
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

  beforeEach(async () => {
    plugin = await RawPlugin.start();
    proxy = await startPluginProxy(true);
    proxy.connect(`127.0.0.1:${plugin.port}`);
    engine = new RawEngine(proxy.port);
  });
  afterEach(() => {
    engine.close();
    proxy.close();
    plugin.stop();
  });

  it("passes no call that creates, updates or deletes", async () => {
    await assert.rejects(call("create", create(false)), refused);
    await assert.rejects(call("update", update(false)), refused);
    await assert.rejects(call("delete"), refused);
    assert.deepEqual(plugin.seen, []);
  });

  it("passes the question what a create or an update would result in", async () => {
    for (const [name, request] of [
      ["create", create(true)],
      ["update", update(true)],
    ] as const) {
      assert.deepEqual(await call(name, request), Buffer.from(request.serializeBinary()));
    }
    assert.deepEqual(plugin.seen, ["create", "update"]);
  });

  const passed = [
    "check",
    "checkConfig",
    "diff",
    "diffConfig",
    "getPluginInfo",
    "getSchema",
    "read",
  ];
  const ruled = ["attach", "cancel", "configure", "create", "delete", "update"];

  it("passes what only reads", async () => {
    for (const name of passed) await call(name);
    assert.deepEqual(plugin.seen, passed);
  });

  it("passes no other call", async () => {
    const others = METHODS.filter((name) => !passed.includes(name) && !ruled.includes(name));
    // `invoke` is among them: "command:local:run" of the plugin for commands runs one.
    assert.ok(others.includes("invoke") && others.includes("call") && others.includes("construct"));
    for (const name of others) {
      await assert.rejects(call(name), { code: grpc.status.UNIMPLEMENTED }, name);
    }
    assert.deepEqual(plugin.seen, []);
  });

  it("passes an error of the plugin with all its details", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from([8, 3]));
    plugin.errors.set("check", {
      code: grpc.status.INVALID_ARGUMENT,
      details: "no such kind",
      metadata,
    });
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
    assert.deepEqual(plugin.seen, []);
  });

  it("refuses a second configuration that differs, and gives the first its answer again", async () => {
    const configuration = (namespace: string) => {
      const request = new providerProto.ConfigureRequest();
      request.setArgs(structProto.Struct.fromJavaScript({ namespace }));
      return request;
    };
    await call("configure", configuration("one"));
    await call("configure", configuration("one"));
    assert.deepEqual(plugin.seen, ["configure"]);
    await assert.rejects(call("configure", configuration("two")), {
      code: grpc.status.FAILED_PRECONDITION,
      details: /stacks of another configuration/,
    });
  });
});
