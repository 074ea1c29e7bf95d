import grpc from "@grpc/grpc-js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { listenOnFreePort } from "../../automation/engine/plugin-server.ts";

const SERVICE: grpc.ServiceDefinition = providerRpc.ResourceProviderService;

/** The names of the methods without streams. */
export const METHODS = Object.entries(SERVICE)
  .filter(([, { requestStream, responseStream }]) => !requestStream && !responseStream)
  .map(([name]) => name);

const unchanged = (bytes: Buffer): Buffer => bytes;

type Message = { serializeBinary(): Uint8Array };

/** A plugin that answers every call with the request, and remembers the calls. */
export class RawPlugin {
  readonly seen: string[] = [];
  /** The calls whose engine no longer waits, because it has the answer or gave up. */
  readonly abandoned: string[] = [];
  /** The error with which it answers a method. */
  readonly errors = new Map<string, Partial<grpc.ServiceError>>();
  /** It answers a method only once this resolves. */
  readonly holds = new Map<string, Promise<void>>();
  readonly #server = new grpc.Server();
  #port = 0;

  static async start(): Promise<RawPlugin> {
    const plugin = new RawPlugin();
    const handlers: grpc.UntypedServiceImplementation = {};
    const methods: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
    for (const name of METHODS) {
      methods[name] = {
        ...SERVICE[name]!,
        requestSerialize: unchanged,
        requestDeserialize: unchanged,
        responseSerialize: unchanged,
        responseDeserialize: unchanged,
      };
      const handler: grpc.handleUnaryCall<Buffer, Buffer> = (call, reply) => {
        plugin.seen.push(name);
        call.on("cancelled", () => plugin.abandoned.push(name));
        void (plugin.holds.get(name) ?? Promise.resolve()).then(() => {
          const error = plugin.errors.get(name);
          if (error) reply(error);
          else reply(null, call.request); // shows what came through
        });
      };
      handlers[name] = handler;
    }
    plugin.#server.addService(methods, handlers);
    plugin.#port = await listenOnFreePort(plugin.#server);
    return plugin;
  }

  get port(): number {
    return this.#port;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

/** Calls a plugin like an engine does. */
export class RawEngine {
  readonly #client: grpc.Client;

  constructor(port: number) {
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1, // a connection of its own
    });
  }

  /** Stops waiting when the signal is aborted. */
  call(name: string, request?: Message, signal?: AbortSignal): Promise<unknown> {
    const { path = "" } = SERVICE[name] ?? {};
    const bytes = Buffer.from(request?.serializeBinary() ?? []);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        unchanged,
        unchanged,
        bytes,
        (error, response) => (error ? reject(error) : resolve(response)),
      );
      signal?.addEventListener("abort", () => call.cancel());
    });
  }

  close(): void {
    this.#client.close();
  }
}
