import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import engineRpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type engineProto from "@pulumi/pulumi/proto/engine_pb.js";
import pluginProto from "@pulumi/pulumi/proto/plugin_pb.js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import emptyProto from "google-protobuf/google/protobuf/empty_pb.js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import {
  type DynamicPlugin,
  serveDynamicProviders,
} from "../../../../automation/engine/quirks/dynamic-plugin.ts";

const SERVICE: grpc.ServiceDefinition = providerRpc.ResourceProviderService;
const unchanged = (bytes: Buffer): Buffer => bytes;
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Loads its methods from a module in the current folder, like rdev-infra's own reference. */
const PROVIDER =
  'exports.handler = () => require("node:module").createRequire(process.cwd() + "/")("./provider.js");';

const MODULE = `
const failures = {
  plain: () => new Error("it does not work"),
  half: () => Object.assign(new Error("half done"), {
    id: "7", properties: { size: 3 }, reasons: ["no time"],
  }),
};
const failing = (props) => { if (props.failure) throw failures[props.failure](); };
module.exports = {
  check: async (olds, news) => {
    failing(news);
    return {
      inputs: { ...news, was: olds.size ?? 0 },
      failures: news.size === -1 ? [{ property: "size", reason: "is negative" }] : [],
    };
  },
  diff: async (id, olds, news) => {
    failing(news);
    return {
      changes: news.size === UNKNOWN ? undefined : olds.size !== news.size,
      replaces: news.place === olds.place ? [] : ["place"],
      deleteBeforeReplace: news.place !== olds.place,
    };
  },
  create: async (props) => { failing(props); return { id: "7", outs: { ...props, made: true } }; },
  update: async (id, olds, news) => { failing(news); return { outs: { ...news, id, olds } }; },
  read: async (id, props) => {
    failing(props);
    if (props.gone) return { id: "", props: {} };
    return { id, props: { ...props, size: 4 }, ...(props.both && { inputs: { size: 4 } }) };
  },
  delete: async (id, props) => failing(props),
};`.replace("UNKNOWN", JSON.stringify(UNKNOWN));

/** Only creates. */
const SMALL = 'exports.handler = () => ({ create: async (outs) => ({ id: "8", outs }) });';

const struct = (properties: Record<string, structProto.JavaScriptValue>, provider = PROVIDER) =>
  structProto.Struct.fromJavaScript({ ...properties, __provider: provider });

interface Message {
  serializeBinary(): Uint8Array;
}

describe("the dynamic providers that this process serves", function () {
  this.timeout(20_000);
  let folder: string;
  let sdk: ChildProcess;
  let toSdk: grpc.Client;
  let own: DynamicPlugin;
  let toOwn: grpc.Client;
  let reading: DynamicPlugin;
  let toReading: grpc.Client;

  const clientOf = (port: string) =>
    new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const portOf = ({ address }: DynamicPlugin) => address.replace("pulumi-nodejs:", "");

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "dynamic-plugin-"));
    await writeFile(join(folder, "provider.js"), MODULE);
    const program = createRequire(import.meta.url).resolve("@pulumi/pulumi/cmd/dynamic-provider");
    sdk = spawn(process.execPath, [program, "127.0.0.1:1"], { cwd: folder });
    const [line] = (await once(sdk.stdout!, "data")) as [Buffer];
    toSdk = clientOf(String(line).trim());
    own = await serveDynamicProviders({ workDir: folder });
    toOwn = clientOf(portOf(own));
    reading = await serveDynamicProviders({ workDir: folder, changesNothing: true });
    toReading = clientOf(portOf(reading));
    for (const client of [toSdk, toOwn]) await call(client, "configure", configuration());
  });
  after(async () => {
    for (const client of [toSdk, toOwn, toReading]) client.close();
    own.close();
    reading.close();
    sdk.kill("SIGKILL");
    await rm(folder, { recursive: true });
  });

  function configuration() {
    const request = new providerProto.ConfigureRequest();
    return request.setArgs(structProto.Struct.fromJavaScript({ "rdev:key": "planted" }));
  }

  /** What a call ends with, in a form that can be compared. */
  function call(client: grpc.Client, name: string, request: Message): Promise<unknown> {
    const { path = "" } = SERVICE[name] ?? {};
    const bytes = Buffer.from(request.serializeBinary());
    return new Promise((resolve) => {
      client.makeUnaryRequest(path, unchanged, unchanged, bytes, (error, response) => {
        if (!error) return resolve(response);
        const { code, details, metadata } = error;
        resolve({ code, details, more: metadata.get("grpc-status-details-bin") });
      });
    });
  }

  const p = providerProto;
  const check = (olds: structProto.Struct, news: structProto.Struct) =>
    new p.CheckRequest().setOlds(olds).setNews(news);
  const diff = (olds: structProto.Struct, news: structProto.Struct) =>
    new p.DiffRequest().setId("7").setOlds(olds).setNews(news);
  const read = (props: structProto.Struct) => new p.ReadRequest().setId("7").setProperties(props);
  const update = (olds: structProto.Struct, news: structProto.Struct) =>
    new p.UpdateRequest().setId("7").setOlds(olds).setNews(news);
  const create = (props: structProto.Struct) => new p.CreateRequest().setProperties(props);
  const remove = (props: structProto.Struct) =>
    new p.DeleteRequest().setId("7").setProperties(props);

  const calls: readonly (readonly [string, string, Message])[] = [
    ["a check", "check", check(struct({ size: 1 }), struct({ size: 2 }))],
    ["a check that finds a mistake", "check", check(struct({}), struct({ size: -1 }))],
    ["a check that fails", "check", check(struct({}), struct({ failure: "plain" }))],
    [
      "a check before the provider is known",
      "check",
      check(struct({ size: 1 }), struct({ size: 2 }, UNKNOWN)),
    ],
    ["a check without a method", "check", check(struct({}, SMALL), struct({ size: 2 }, SMALL))],
    ["a diff of equals", "diff", diff(struct({ size: 1 }), struct({ size: 1 }))],
    ["a diff that changes", "diff", diff(struct({ size: 1 }), struct({ size: 2 }))],
    ["a diff that replaces", "diff", diff(struct({ place: "a" }), struct({ place: "b" }))],
    ["a diff with an unknown", "diff", diff(struct({ size: 1 }), struct({ size: UNKNOWN }))],
    ["a diff that fails", "diff", diff(struct({}), struct({ failure: "plain" }))],
    ["a diff without a method", "diff", diff(struct({}, SMALL), struct({ size: 2 }, SMALL))],
    ["a create", "create", create(struct({ size: 1, list: [{ a: null }, "b", true] }))],
    ["a create that fails", "create", create(struct({ failure: "plain" }))],
    ["a create that fails half way", "create", create(struct({ failure: "half" }))],
    ["an update", "update", update(struct({ size: 1 }), struct({ size: 2 }))],
    ["an update that fails half way", "update", update(struct({}), struct({ failure: "half" }))],
    ["an update without a method", "update", update(struct({}, SMALL), struct({}, SMALL))],
    ["a read", "read", read(struct({ size: 1 }))],
    ["a read of what is gone", "read", read(struct({ gone: true }))],
    ["a read that returns inputs", "read", read(struct({ both: true }))],
    ["a read that fails", "read", read(struct({ failure: "plain" }))],
    ["a read without a method", "read", read(struct({ size: 1 }, SMALL))],
    ["a delete", "delete", remove(struct({}))],
    ["a delete that fails", "delete", remove(struct({ failure: "plain" }))],
    ["a delete without a method", "delete", remove(struct({}, SMALL))],
    ["the configuration", "configure", configuration()],
    ["what the plugin is", "getPluginInfo", new emptyProto.Empty()],
    ["a cancel", "cancel", new emptyProto.Empty()],
  ];
  for (const [title, name, request] of calls) {
    it(`answer ${title} as the SDK's plugin does`, async () => {
      assert.deepEqual(await call(toOwn, name, request), await call(toSdk, name, request));
    });
  }

  it("answer every other method of the protocol with UNIMPLEMENTED, as the SDK's plugin does", async () => {
    const known = new Set(["attach", "invoke", ...calls.map(([, name]) => name)]);
    for (const [name, { responseStream }] of Object.entries(SERVICE)) {
      if (known.has(name) || responseStream) continue;
      for (const client of [toOwn, toSdk]) {
        const answer = await call(client, name, new emptyProto.Empty());
        assert.equal((answer as { code?: grpc.status }).code, grpc.status.UNIMPLEMENTED, name);
      }
    }
  });

  it("change nothing for a preview", async () => {
    for (const [name, request] of [
      ["create", create(struct({}))],
      ["update", update(struct({}), struct({}))],
      ["delete", remove(struct({}))],
    ] as const) {
      const answer = await call(toReading, name, request);
      assert.equal((answer as { details?: string }).details, "a preview changes nothing", name);
    }
  });

  it("report their notices to the engine that they are attached to, and to no other", async () => {
    const text = `exports.handler = () => {
      const { notice } = require(${JSON.stringify(join(import.meta.dirname, "../../../../providers/notice.ts"))});
      return { delete: async (id, props) => notice("left alone by " + props.who) };
    };`;
    const one = await startEngine();
    const other = await startEngine();
    const plugins = [await serveDynamicProviders({}), await serveDynamicProviders({})];
    const clients = plugins.map((plugin) => clientOf(portOf(plugin)));
    try {
      for (const [index, engine] of [one, other].entries()) {
        const attach = new pluginProto.PluginAttach().setAddress(engine.address);
        await call(clients[index]!, "attach", attach);
      }
      await Promise.all(
        clients.map((client, who) => call(client, "delete", remove(struct({ who }, text)))),
      );
      assert.deepEqual(await one.first, "left alone by 0");
      assert.deepEqual(await other.first, "left alone by 1");
      assert.deepEqual([one.all.length, other.all.length], [1, 1]);
    } finally {
      for (const client of clients) client.close();
      for (const plugin of plugins) plugin.close();
      one.server.forceShutdown();
      other.server.forceShutdown();
    }
  });

  async function startEngine() {
    const all: string[] = [];
    const first = Promise.withResolvers<string>();
    const server = new grpc.Server();
    const log: grpc.handleUnaryCall<engineProto.LogRequest, emptyProto.Empty> = (
      { request },
      reply,
    ) => {
      all.push(request.getMessage());
      first.resolve(request.getMessage());
      reply(null, new emptyProto.Empty());
    };
    server.addService(engineRpc.EngineService, { log });
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return { server, all, first: first.promise, address: `127.0.0.1:${port}` };
  }
});
