/**
 * Pulumi's plugin for dynamic resources is a second Node.js process for each operation.
 *
 * Reason: the engine starts it like any other plugin. It loads the SDK and the providers that the
 * process with the program has loaded already.
 * Workaround: this process serves the providers itself, one server for each engine, and tells the
 * engine its port by PULUMI_DEBUG_PROVIDERS. A killed engine does not end the calls that this process
 * is working on, so the process must end then: see lost-engine.ts.
 * Upstream: https://github.com/pulumi/pulumi/pull/8979 added PULUMI_DEBUG_PROVIDERS;
 * https://github.com/pulumi/pulumi/issues/19534 asks for plugins that outlive an operation.
 * Seen in: @pulumi/pulumi 3.259.0. Each call is answered as in its cmd/dynamic-provider/index.ts.
 * Remove it when: Pulumi can serve dynamic providers from the program's process by itself.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import grpc from "@grpc/grpc-js";
import { type dynamic, runtime } from "@pulumi/pulumi";
import engineRpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineProto from "@pulumi/pulumi/proto/engine_pb.js";
import pluginProto from "@pulumi/pulumi/proto/plugin_pb.js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import emptyProto from "google-protobuf/google/protobuf/empty_pb.js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import { z } from "zod";
import { processEnvironment } from "../../../core/connections.ts";
import { receiveNotices } from "../../../providers/notice.ts";
import { PACKAGE } from "../folders.ts";
import { CHANNEL_LIMITS, type HalfDone, listenOnFreePort, unary } from "../plugin-server.ts";
import { sdkVersion } from "../versions.ts";
import { recordUnfinishedCalls } from "./lost-engine.ts";
import { NO_CHANGES } from "./plugin-proxy.ts";

type Struct = structProto.Struct | undefined;
type Properties = ReturnType<structProto.Struct["toJavaScript"]>;
type DynamicProvider = dynamic.ResourceProvider<Properties, Properties>;

interface DynamicPluginOptions {
  /** The providers' texts in a state load modules from here. Default: this package. */
  readonly workDir?: string;
  /** Refuse every call that changes something. Default: false. */
  readonly changesNothing?: boolean;
}

export interface DynamicPlugin {
  /** Its part of PULUMI_DEBUG_PROVIDERS. */
  readonly address: string;
  /** Must be called after the engine has ended. */
  close(): void;
}

/** Serves dynamic providers to one engine, on a free port of 127.0.0.1. */
export async function serveDynamicProviders(options: DynamicPluginOptions): Promise<DynamicPlugin> {
  const service = new DynamicProviders(options);
  const server = new grpc.Server(CHANNEL_LIMITS);
  server.addService(providerRpc.ResourceProviderService, service.handlers());
  const port = await listenOnFreePort(server);
  return {
    address: `pulumi-nodejs:${port}`,
    close: () => {
      server.forceShutdown();
      service.close();
    },
  };
}

/** Adds the plugin to the variables of an engine, which may already use other running plugins. */
export function withPlugin(
  env: Readonly<Record<string, string>> = {},
  plugin: DynamicPlugin,
): Readonly<Record<string, string>> {
  const others = env[RUNNING_PLUGINS] ?? processEnvironment()[RUNNING_PLUGINS];
  const all = others ? `${others},${plugin.address}` : plugin.address;
  return { ...env, [RUNNING_PLUGINS]: all };
}

/** The variable with which an engine uses running plugins instead of starting its own. */
export const RUNNING_PLUGINS = "PULUMI_DEBUG_PROVIDERS";

class DynamicProviders {
  readonly #options: DynamicPluginOptions;
  readonly #known = new Map<string, DynamicProvider>();
  #engine: engineRpc.EngineClient | undefined;
  /** Calls without an answer yet. */
  #running = 0;

  constructor(options: DynamicPluginOptions) {
    this.#options = options;
  }

  close(): void {
    if (this.#running > 0) recordUnfinishedCalls();
    this.#engine?.close();
  }

  /** The other calls are answered with UNIMPLEMENTED, as the SDK's plugin does. */
  handlers(): grpc.UntypedServiceImplementation {
    const p = providerProto;
    return {
      attach: unary((request: pluginProto.PluginAttach) => {
        const credentials = grpc.credentials.createInsecure();
        this.#engine = new engineRpc.EngineClient(request.getAddress(), credentials, {
          "grpc.use_local_subchannel_pool": 1, // see own-connections.ts
        });
        return new emptyProto.Empty();
      }),
      cancel: unary(() => new emptyProto.Empty()),
      getPluginInfo: unary(() => new pluginProto.PluginInfo().setVersion(sdkVersion("pulumi"))),
      // The dynamic providers of this package read no config (docs/decisions.md).
      configure: unary(() => new p.ConfigureResponse().setAcceptsecrets(false)),
      check: this.#call((request: providerProto.CheckRequest) => this.#check(request)),
      diff: this.#call((request: providerProto.DiffRequest) => this.#diff(request)),
      read: this.#call((request: providerProto.ReadRequest) => this.#read(request)),
      create: this.#change(async (request: providerProto.CreateRequest) => {
        const props = read(request.getProperties());
        const { id, outs } = await this.#provider(props).create(props);
        return new p.CreateResponse().setId(id).setProperties(withProvider(outs, props));
      }),
      update: this.#change(async (request: providerProto.UpdateRequest) => {
        const [olds, news] = [read(request.getOlds()), read(request.getNews())];
        const result = await this.#provider(news).update?.(request.getId(), olds, news);
        return new p.UpdateResponse().setProperties(withProvider(result?.outs, news));
      }),
      delete: this.#change(async (request: providerProto.DeleteRequest) => {
        const props = read(request.getProperties());
        await this.#provider(props).delete?.(request.getId(), props);
        return new emptyProto.Empty();
      }),
    };
  }

  async #check(request: providerProto.CheckRequest): Promise<providerProto.CheckResponse> {
    const [olds, news] = [read(request.getOlds()), read(request.getNews())];
    const checked = await this.#newest(olds, news).check?.(olds, news);
    const failures = (checked?.failures ?? []).map(({ property, reason }) =>
      new providerProto.CheckFailure().setProperty(property).setReason(reason),
    );
    return new providerProto.CheckResponse()
      .setInputs(withProvider(checked?.inputs ?? news, news))
      .setFailuresList(failures);
  }

  async #diff(request: providerProto.DiffRequest): Promise<providerProto.DiffResponse> {
    const [olds, news] = [read(request.getOlds()), read(request.getNews())];
    const provider = this.#newest(olds, news);
    const response = new providerProto.DiffResponse();
    if (!provider.diff) return response;
    const { changes, replaces, deleteBeforeReplace } = await provider.diff(
      request.getId(),
      olds,
      news,
    );
    const { DIFF_NONE, DIFF_SOME, DIFF_UNKNOWN } = providerProto.DiffResponse.DiffChanges;
    return response
      .setChanges(changes === undefined ? DIFF_UNKNOWN : changes ? DIFF_SOME : DIFF_NONE)
      .setReplacesList(replaces ?? [])
      .setDeletebeforereplace(deleteBeforeReplace ?? false);
  }

  async #read(request: providerProto.ReadRequest): Promise<providerProto.ReadResponse> {
    const response = new providerProto.ReadResponse();
    const props = read(request.getProperties());
    const provider = this.#provider(props);
    if (!provider.read)
      return response.setId(request.getId()).setProperties(request.getProperties());
    const found = await provider.read(request.getId(), props);
    response.setId(found.id ?? "").setProperties(withProvider(found.props, props));
    return found.inputs ? response.setInputs(withProvider(found.inputs, props)) : response;
  }

  /** The new inputs may not know the provider yet. */
  #newest(olds: Properties, news: Properties): DynamicProvider {
    return this.#provider(news[PROVIDER] === runtime.unknownValue ? olds : news);
  }

  /** Runs the provider's text once. It sees the work folder as the current one. */
  #provider(props: Properties): DynamicProvider {
    const text = z.string().parse(props[PROVIDER]);
    const known = this.#known.get(text);
    if (known) return known;
    const { workDir = PACKAGE } = this.#options;
    const own = { cwd: { value: () => workDir } };
    const exports: { handler?: () => DynamicProvider } = {};
    const run = compileFunction(text, ["exports", "require", "process"]) as (
      ...names: unknown[]
    ) => void;
    run(exports, createRequire(join(workDir, "/")), Object.create(process, own));
    const provider = exports.handler!();
    this.#known.set(text, provider);
    return provider;
  }

  #change<Request, Response>(work: (request: Request) => Promise<Response>) {
    if (!this.#options.changesNothing) return this.#call(work);
    return unary<Request, Response>(() => Promise.reject(new Error(NO_CHANGES)));
  }

  #call<Request, Response>(work: (request: Request) => Promise<Response>) {
    return unary(async (request: Request) => {
      this.#running += 1;
      try {
        return await receiveNotices(
          (text) => this.#log(text),
          () => work(request),
        );
      } finally {
        this.#running -= 1;
      }
    }, halfDoneIn);
  }

  /** The engine reports it as information, like the texts that the SDK's plugin prints. */
  #log(text: string): void {
    const { INFO } = engineProto.LogSeverity;
    const request = new engineProto.LogRequest().setSeverity(INFO).setMessage(text);
    // A lost message must not fail the operation.
    this.#engine?.log(request, () => undefined);
  }
}

/** The property with the provider's text. */
const PROVIDER = "__provider";

const read = (struct: Struct): Properties => struct?.toJavaScript() ?? {};

function withProvider(properties: object | undefined, props: Properties): structProto.Struct {
  return structProto.Struct.fromJavaScript({ ...properties, [PROVIDER]: props[PROVIDER] ?? null });
}

const halfDone = z.object({
  id: z.string().min(1),
  properties: z.record(z.string(), z.json()).default({}),
  reasons: z.array(z.string()).default([]),
});

/** With an id, the error of a create says that the object exists. */
function halfDoneIn(error: unknown): HalfDone | undefined {
  return halfDone.safeParse(error).data;
}
