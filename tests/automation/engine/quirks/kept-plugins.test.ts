import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import {
  type KeptPlugin,
  serveKeptPlugin,
} from "../../../../automation/engine/quirks/kept-plugins.ts";
import type { PluginName } from "../../../../automation/engine/plugin-process.ts";
import { until } from "../../../../sandbox/process.ts";
import { METHODS, RawEngine, RawPlugin } from "../../../support/raw-plugin.ts";

const CONFIGURATION = { enablePatchForce: "true" };

describe("a kept plugin", () => {
  let kept: RawPlugin;
  /** What a provider gets in place of the kept plugin. */
  let own: RawPlugin;
  let proxy: KeptPlugin;
  let started: string[];
  const engines: RawEngine[] = [];

  /** Puts a proxy before the kept plugin, or before none that started. */
  async function serve(name: PluginName, { isThere = true } = {}): Promise<void> {
    proxy = await serveKeptPlugin(name, {
      port: Promise.resolve(isThere ? kept.port : undefined),
      configuration: CONFIGURATION,
      startOwn: (engine) => {
        started.push(engine);
        return Promise.resolve({ port: own.port });
      },
    });
  }
  async function connect(): Promise<RawEngine> {
    const engine = new RawEngine(proxy.port);
    engines.push(engine);
    await engine.call("handshake");
    await engine.call("attach");
    return engine;
  }
  /** A call that the plugin works on until `release`. */
  async function hold(engine: RawEngine, name: string, signal?: AbortSignal) {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    kept.holds.set(name, promise);
    const answer = engine.call(name, undefined, signal);
    answer.catch(() => undefined);
    await until(() => assert.ok(kept.seen.includes(name)));
    return { answer, release };
  }
  const configuration = (args: Record<string, string>) =>
    new providerProto.ConfigureRequest().setArgs(structProto.Struct.fromJavaScript(args));

  beforeEach(async () => {
    kept = await RawPlugin.start();
    own = await RawPlugin.start();
    started = [];
  });
  afterEach(() => {
    for (const engine of engines.splice(0)) engine.close();
    proxy.close();
    kept.stop();
    own.stop();
  });

  it("gets every call of an engine except the cancel at its end, and is reusable then", async () => {
    await serve("command");
    const engine = await connect();
    const others = METHODS.filter((name) => !["handshake", "attach", "cancel"].includes(name));
    const request = new providerProto.CreateRequest().setUrn("urn:pulumi:a::b::c:d:E::f");
    for (const name of others) {
      assert.deepEqual(await engine.call(name, request), Buffer.from(request.serializeBinary()));
    }
    await engine.call("cancel");
    assert.deepEqual(kept.seen, ["handshake", "attach", ...others]);
    assert.equal(await proxy.isReusable(), true);
    assert.deepEqual(own.seen, []);
  });

  it("is cancelled at once while the engine waits for a call, and is not reusable then", async () => {
    await serve("command");
    const engine = await connect();
    const { answer, release } = await hold(engine, "create");
    await engine.call("cancel");
    assert.deepEqual(kept.seen.slice(2), ["create", "cancel"]);
    release();
    await answer;
    assert.equal(await proxy.isReusable(), false);
  });

  it("is cancelled before a call that follows a cancel, and is not reusable then", async () => {
    await serve("command");
    const engine = await connect();
    await engine.call("cancel");
    await engine.call("create");
    assert.deepEqual(kept.seen.slice(2), ["cancel", "create"]);
    assert.equal(await proxy.isReusable(), false);
  });

  it("keeps the calls of one provider when the engine closes another", async () => {
    await serve("command");
    const [one, other] = [await connect(), await connect()];
    const { answer, release } = await hold(one, "create");
    await other.call("cancel");
    assert.ok(!kept.seen.includes("cancel"));
    release();
    await answer;
    assert.equal(await proxy.isReusable(), true);
  });

  it("is not reusable while it works on a call", async () => {
    await serve("command");
    const { answer, release } = await hold(await connect(), "create");
    assert.equal(await proxy.isReusable(), false);
    release();
    await answer;
    assert.equal(await proxy.isReusable(), true);
  });

  it("learns that the engine no longer waits, and is not reusable then", async () => {
    await serve("command");
    const abandoning = new AbortController();
    const { answer, release } = await hold(await connect(), "create", abandoning.signal);
    abandoning.abort();
    await assert.rejects(answer, { code: grpc.status.CANCELLED });
    await until(() => assert.ok(kept.abandoned.includes("create")));
    release();
    assert.equal(await proxy.isReusable(), false);
  });

  it("is not reusable after it died during a call, which fails", async () => {
    await serve("command");
    const { answer, release } = await hold(await connect(), "create");
    kept.stop();
    await assert.rejects(answer);
    release();
    assert.equal(await proxy.isReusable(), false);
  });

  for (const [what, prepare, options] of [
    ["did not start", () => undefined, { isThere: false }],
    ["is dead", () => kept.stop(), {}],
  ] as const) {
    it(`is replaced for the engine if it ${what}`, async () => {
      prepare();
      await serve("command", options);
      const engine = await connect();
      await engine.call("create");
      assert.deepEqual(own.seen, ["handshake", "attach", "create"]);
      assert.deepEqual(started, [`127.0.0.1:${proxy.port}`]);
    });
  }

  it("for Kubernetes serves only the project's configuration; another provider gets its own", async () => {
    await serve("kubernetes");
    own.errors.set("handshake", { code: grpc.status.UNIMPLEMENTED, details: "as most plugins" });
    const [usual, special] = [await connect(), await connect()];
    await usual.call("configure", configuration({ ...CONFIGURATION, version: "4.34.2" }));
    await special.call("configure", configuration({ ...CONFIGURATION, context: "other" }));
    await special.call("create");
    await special.call("cancel");
    await usual.call("check");
    assert.deepEqual(own.seen, ["handshake", "attach", "configure", "create"]);
    assert.deepEqual(kept.seen.slice(4), ["configure", "check"]);
    assert.equal(await proxy.isReusable(), true);
  });

  it("for Kubernetes is not reusable if it holds the cluster for unreachable", async () => {
    await serve("kubernetes");
    const engine = await connect();
    await engine.call("configure", configuration(CONFIGURATION));
    assert.equal(await proxy.isReusable(), true);
    kept.errors.set("read", { code: grpc.status.UNKNOWN, details: "unreachable cluster" });
    assert.equal(await proxy.isReusable(), false);
  });

  it("refuses a connection that was opened again, because its provider is unknown", async () => {
    await serve("command");
    const engine = new RawEngine(proxy.port);
    engines.push(engine);
    await assert.rejects(engine.call("create"), { code: grpc.status.FAILED_PRECONDITION });
    assert.deepEqual(kept.seen, []);
  });
});
