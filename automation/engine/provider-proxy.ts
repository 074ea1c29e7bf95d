/** Passes the calls of engines on to plugins, as bytes. */
import grpc from "@grpc/grpc-js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { CHANNEL_LIMITS, listenOnFreePort } from "./plugin-server.ts";

/** One call of an engine. */
export interface ProviderCall {
  /** Its name in provider.proto, with a small first letter: `create`. */
  readonly name: string;
  readonly path: string;
  readonly request: Buffer;
  /** The engine's connection. An engine has one for each provider in the stack. */
  readonly peer: string;
  /** Aborted if the engine no longer waits for the answer. */
  readonly abandoned: AbortSignal;
}

interface ProviderServer {
  /** On 127.0.0.1. */
  readonly port: number;
  close(): void;
}

export const EMPTY = Buffer.alloc(0);

/** Messages are passed as bytes. */
const unchanged = (bytes: Buffer): Buffer => bytes;

/** Serves a plugin's methods on a free port of 127.0.0.1. Methods with streams are not implemented. */
export async function serveProviderCalls(
  answer: (call: ProviderCall) => Promise<Buffer>,
): Promise<ProviderServer> {
  const handlers: grpc.UntypedServiceImplementation = {};
  const methods: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
  for (const [name, method] of Object.entries(providerRpc.ResourceProviderService)) {
    if (method.requestStream || method.responseStream) continue;
    methods[name] = {
      ...method,
      requestSerialize: unchanged,
      requestDeserialize: unchanged,
      responseSerialize: unchanged,
      responseDeserialize: unchanged,
    };
    const handler: grpc.handleUnaryCall<Buffer, Buffer> = (call, reply) => {
      const abandoned = new AbortController();
      call.on("cancelled", () => abandoned.abort());
      const { path } = method;
      const { request } = call;
      answer({ name, path, request, peer: call.getPeer(), abandoned: abandoned.signal }).then(
        (response) => reply(null, response),
        (error: grpc.ServiceError) => reply(error),
      );
    };
    handlers[name] = handler;
  }
  const server = new grpc.Server(CHANNEL_LIMITS);
  server.addService(methods, handlers);
  const port = await listenOnFreePort(server);
  return { port, close: () => server.forceShutdown() };
}

/** A connection to a plugin. */
export class ProviderConnection {
  readonly #client: grpc.Client;

  /** `address` is `host:port`. */
  constructor(address: string) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), {
      ...CHANNEL_LIMITS,
      "grpc.use_local_subchannel_pool": 1, // see quirks/own-connections.ts
    });
  }

  /** Rejects with the plugin's error, and its details. */
  call({ path, request, abandoned }: Omit<ProviderCall, "name" | "peer">): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const cancel = () => call.cancel();
      const call = this.#client.makeUnaryRequest(
        path,
        unchanged,
        unchanged,
        request,
        (error, response) => {
          abandoned.removeEventListener("abort", cancel);
          if (error) reject(error);
          else resolve(response ?? EMPTY);
        },
      );
      abandoned.addEventListener("abort", cancel);
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** An error in the form that grpc-js sends. */
export function callError(code: grpc.status, details: string): Error {
  return Object.assign(new Error(details), { code, details });
}
