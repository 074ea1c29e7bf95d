/** Serves a provider by the gRPC protocol of Pulumi's engine, and exits with the engine. */
import { flushCompileCache } from "node:module";
import grpc from "@grpc/grpc-js";
import emptyProto from "google-protobuf/google/protobuf/empty_pb.js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import engineRpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineProto from "@pulumi/pulumi/proto/engine_pb.js";
import pluginProto from "@pulumi/pulumi/proto/plugin_pb.js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import {
  CHANNEL_LIMITS,
  listenOnFreePort,
  unary as answer,
} from "../../automation/engine/plugin-server.ts";
import type { Change, DiffResult } from "./diff.ts";
import { formatPath } from "../../core/engine-values.ts";
import { InitializationError, type Engine, type Provider, type Resource } from "./provider.ts";
import { reveal, type Properties } from "./values.ts";

/** The engine's process, read at the start, before the engine can be gone. */
const PARENT = process.ppid;
/** The interval at which a plugin checks that the engine still runs. */
const PARENT_CHECK_MS = 500;

type Struct = structProto.Struct | undefined;

const read = (struct: Struct): Properties => struct?.toJavaScript() ?? {};

function write(properties: Properties): structProto.Struct {
  // Properties are plain JSON.
  return structProto.Struct.fromJavaScript(properties);
}

/** Answers a call, and reports an object that exists although it does not become ready. */
export function unary<Request, Response>(
  work: (request: Request) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
  return answer(work, (error) =>
    error instanceof InitializationError
      ? { id: error.id, properties: error.outputs, reasons: [error.message] }
      : undefined,
  );
}

/** Serves on a free port, prints the port for the engine, and exits when the parent process does. */
export async function serveOnFreePort(
  service: grpc.ServiceDefinition,
  implementation: grpc.UntypedServiceImplementation,
): Promise<void> {
  const server = new grpc.Server(CHANNEL_LIMITS);
  server.addService(service, implementation);
  const port = await listenOnFreePort(server);
  process.stdout.write(`${port}\n`);
  setInterval(() => {
    if (process.ppid !== PARENT) process.exit(0);
  }, PARENT_CHECK_MS);
}

/** The engine, and the calls with which it controls the plugin. */
interface ControlledEngine extends Engine {
  cancel(): void;
  /** From now on the messages go to the engine at this address. */
  attach(address: string): void;
}

function connectEngine(address: string | undefined): ControlledEngine {
  const cancellation = new AbortController();
  const connect = (to: string) =>
    new engineRpc.EngineClient(to, grpc.credentials.createInsecure(), CHANNEL_LIMITS);
  let client = address === undefined ? undefined : connect(address);
  const severities = {
    info: engineProto.LogSeverity.INFO,
    warning: engineProto.LogSeverity.WARNING,
  };
  const send = (severity: "info" | "warning", urn: string, message: string, ephemeral: boolean) => {
    const request = new engineProto.LogRequest()
      .setSeverity(severities[severity])
      .setUrn(urn)
      .setMessage(message)
      .setEphemeral(ephemeral);
    // A lost log message must not fail the operation.
    client?.log(request, () => undefined);
  };
  return {
    cancelled: cancellation.signal,
    cancel: () => cancellation.abort(),
    attach: (to) => {
      client?.close();
      client = connect(to);
    },
    log: (severity, urn, message) => send(severity, urn, message, false),
    status: (urn, message) => send("info", urn, message, true),
  };
}

/** Runs a plugin, started as `main.ts <name> <the engine's address>`. */
export function serveProvider(makeProvider: (engine: Engine) => Provider): Promise<void> {
  const engine = connectEngine(process.argv[3]);
  const provider = makeProvider(engine);
  return serveOnFreePort(providerRpc.ResourceProviderService, handlersOf(provider, engine));
}

interface ResourceRequest {
  getUrn(): string;
  getType(): string;
  getName(): string;
}

function resourceOf(request: ResourceRequest): Resource {
  const urn = request.getUrn();
  // urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>
  const [, , types = "", ...name] = urn.split("::");
  return {
    urn,
    type: request.getType() || (types.split("$").at(-1) ?? ""),
    name: request.getName() || name.join("::"),
  };
}

/** In seconds. The engine sends 0 if the program set no timeout. */
const timeoutOf = (request: { getTimeout(): number }): number | undefined =>
  request.getTimeout() > 0 ? request.getTimeout() : undefined;

function handlersOf(
  provider: Provider,
  engine: ControlledEngine,
): grpc.UntypedServiceImplementation {
  const p = providerProto;
  return {
    getPluginInfo: unary(() => new pluginProto.PluginInfo().setVersion(provider.version)),
    attach: unary((request: pluginProto.PluginAttach) => {
      engine.attach(request.getAddress());
      return new emptyProto.Empty();
    }),
    cancel: unary(() => {
      engine.cancel();
      // The engine cancels a plugin before it kills it, and Node writes its compile cache at a normal exit.
      flushCompileCache();
      return new emptyProto.Empty();
    }),
    checkConfig: unary((request: providerProto.CheckRequest) =>
      new p.CheckResponse().setInputs(request.getNews()),
    ),
    diffConfig: unary(() => new p.DiffResponse().setChanges(p.DiffResponse.DiffChanges.DIFF_NONE)),
    configure: unary((request: providerProto.ConfigureRequest) => {
      provider.configure(reveal(read(request.getArgs())));
      return new p.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(provider.previews);
    }),
    check: unary(async (request: providerProto.CheckRequest) => {
      const { inputs, failures = [] } = await provider.check({
        ...resourceOf(request),
        olds: read(request.getOlds()),
        news: read(request.getNews()),
        proposedName: request.getAutonaming()?.getProposedName() || undefined,
      });
      return new p.CheckResponse()
        .setInputs(write(inputs))
        .setFailuresList(
          failures.map(({ property, reason }) =>
            new p.CheckFailure().setProperty(property).setReason(reason),
          ),
        );
    }),
    diff: unary(async (request: providerProto.DiffRequest) =>
      diffResponse(
        await provider.diff({
          ...resourceOf(request),
          id: request.getId(),
          outputs: read(request.getOlds()),
          oldInputs: read(request.getOldInputs()),
          news: read(request.getNews()),
          ignoreChanges: request.getIgnorechangesList(),
        }),
      ),
    ),
    create: unary(async (request: providerProto.CreateRequest) => {
      const { id, outputs } = await provider.create({
        ...resourceOf(request),
        inputs: read(request.getProperties()),
        timeout: timeoutOf(request),
        preview: request.getPreview(),
      });
      return new p.CreateResponse().setId(id).setProperties(write(outputs));
    }),
    read: unary(async (request: providerProto.ReadRequest) => {
      const found = await provider.read({
        ...resourceOf(request),
        id: request.getId(),
        inputs: read(request.getInputs()),
        outputs: read(request.getProperties()),
      });
      // An empty id means that the resource is gone.
      if (found === undefined) return new p.ReadResponse();
      return new p.ReadResponse()
        .setId(found.id)
        .setInputs(write(found.inputs))
        .setProperties(write(found.outputs));
    }),
    update: unary(async (request: providerProto.UpdateRequest) => {
      const outputs = await provider.update({
        ...resourceOf(request),
        id: request.getId(),
        outputs: read(request.getOlds()),
        oldInputs: read(request.getOldInputs()),
        inputs: read(request.getNews()),
        timeout: timeoutOf(request),
        preview: request.getPreview(),
        ignoreChanges: request.getIgnorechangesList(),
      });
      return new p.UpdateResponse().setProperties(write(outputs));
    }),
    delete: unary(async (request: providerProto.DeleteRequest) => {
      await provider.delete({
        ...resourceOf(request),
        id: request.getId(),
        inputs: read(request.getOldInputs()),
        outputs: read(request.getProperties()),
        timeout: timeoutOf(request),
      });
      return new emptyProto.Empty();
    }),
  };
}

function diffResponse({ changes, replaces, deleteBeforeReplace }: DiffResult) {
  const { DIFF_NONE, DIFF_SOME } = providerProto.DiffResponse.DiffChanges;
  const response = new providerProto.DiffResponse()
    .setChanges(changes.length === 0 ? DIFF_NONE : DIFF_SOME)
    .setHasdetaileddiff(true)
    .setDeletebeforereplace(deleteBeforeReplace ?? false);
  for (const change of changes) {
    const path = formatPath(change.path);
    const replace = replaces(change.path);
    if (replace) response.addReplaces(path);
    response.addDiffs(String(change.path[0] ?? ""));
    response
      .getDetaileddiffMap()
      .set(
        path,
        new providerProto.PropertyDiff().setKind(kindOf(change, replace)).setInputdiff(true),
      );
  }
  return response;
}

function kindOf({ kind }: Change, replace: boolean) {
  const k = providerProto.PropertyDiff.Kind;
  const kinds = {
    add: [k.ADD, k.ADD_REPLACE],
    delete: [k.DELETE, k.DELETE_REPLACE],
    update: [k.UPDATE, k.UPDATE_REPLACE],
  } as const;
  return kinds[kind][replace ? 1 : 0];
}
