import grpc from "@grpc/grpc-js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";

/** As the engine's own: states are bigger than gRPC's default of 4 MB. */
const LIMITS = {
  "grpc.max_receive_message_length": 400 * 1024 * 1024,
  "grpc.max_send_message_length": 400 * 1024 * 1024,
};

const asIs = (bytes: Buffer): Buffer => bytes;
const EMPTY = Buffer.alloc(0);

/** What stands between engines and one plugin that they share. */
export interface PluginProxy {
  readonly port: number;
  /** What its calls go to, `host:port`. They wait for it. */
  connect(address: string): void;
  close(): void;
}

/** Answers a call of an engine, or hands it on. */
type Rule = (request: Buffer, pass: () => Promise<Buffer>) => Promise<Buffer>;

/**
 * Lets several engines use one plugin that runs already, by PULUMI_DEBUG_PROVIDERS. An engine that ends
 * cancels its plugins, for good, and tells those that it found running to attach, which the SDK's own
 * provider refuses: neither is handed on. A plugin has one configuration, so that a second one that
 * differs is refused where the plugin heeds it. No call that would change something gets through.
 */
export async function startPluginProxy(heedsConfig: boolean): Promise<PluginProxy> {
  const target = Promise.withResolvers<grpc.Client>();
  const rules: Readonly<Partial<Record<string, Rule>>> = {
    cancel: () => Promise.resolve(EMPTY),
    attach: () => Promise.resolve(EMPTY),
    create: onlyPreviews(providerProto.CreateRequest),
    update: onlyPreviews(providerProto.UpdateRequest),
    delete: () => Promise.reject(answer(grpc.status.FAILED_PRECONDITION, NO_CHANGES)),
    handshake: () => Promise.reject(answer(grpc.status.UNIMPLEMENTED, "not by a shared plugin")),
    ...(heedsConfig && { configure: configureOnce() }),
  };
  const handlers: grpc.UntypedServiceImplementation = {};
  const methods: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
  for (const [name, method] of Object.entries(providerRpc.ResourceProviderService)) {
    if (method.requestStream || method.responseStream) continue;
    methods[name] = {
      ...method,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    const handler: grpc.handleUnaryCall<Buffer, Buffer> = ({ request }, reply) => {
      const pass = async () => forward(await target.promise, method.path, request);
      const rule = rules[name] ?? ((_request, onward) => onward());
      rule(request, pass).then(
        (response) => reply(null, response),
        (error: grpc.ServiceError) => reply(error),
      );
    };
    handlers[name] = handler;
  }
  const server = new grpc.Server(LIMITS);
  server.addService(methods, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    port,
    connect: (address) =>
      target.resolve(new grpc.Client(address, grpc.credentials.createInsecure(), LIMITS)),
    close: () => {
      server.forceShutdown();
      void target.promise.then((client) => client.close());
    },
  };
}

function forward(client: grpc.Client, path: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, request, (error, response) => {
      if (error) reject(error);
      else resolve(response ?? EMPTY);
    });
  });
}

function configureOnce(): Rule {
  let first: { readonly args: string; readonly response: Promise<Buffer> } | undefined;
  return (request, pass) => {
    const parsed = providerProto.ConfigureRequest.deserializeBinary(request);
    const args = JSON.stringify(parsed.getArgs()?.toJavaScript());
    first ??= { args, response: pass() };
    if (first.args === args) return first.response;
    return Promise.reject(answer(grpc.status.FAILED_PRECONDITION, OTHER_CONFIG));
  };
}

/** Engines ask providers what a creation or an update would come to: that alone is handed on. */
function onlyPreviews(message: {
  deserializeBinary(bytes: Uint8Array): { getPreview(): boolean };
}): Rule {
  return (request, pass) => {
    if (message.deserializeBinary(request).getPreview()) return pass();
    return Promise.reject(answer(grpc.status.FAILED_PRECONDITION, NO_CHANGES));
  };
}

const NO_CHANGES = "a preview changes nothing";

/** What an engine is told whose stack configures a shared plugin in its own way. */
export const OTHER_CONFIG = "this plugin is shared with stacks of another configuration";

/** An error as gRPC sends it. */
function answer(code: grpc.status, details: string): Error {
  return Object.assign(new Error(details), { code, details });
}
