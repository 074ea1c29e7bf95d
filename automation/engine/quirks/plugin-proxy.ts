/**
 * Pulumi lets several engines use one running plugin, but only to debug it.
 *
 * Reason: an engine starts its plugins for itself, which costs more than the preview of an unchanged
 * stack. PULUMI_DEBUG_PROVIDERS makes it use a running plugin. But an engine that ends also cancels
 * that plugin for good, and an engine that begins attaches it to itself, so that the plugin would send
 * the messages for all engines to the last one. A plugin also has one configuration for all engines.
 * Workaround: a proxy stands between the engines and the plugin. It passes only the calls in PASSED,
 * which a preview needs and which change nothing; a create or an update only with its preview flag;
 * and `configure`, for Kubernetes only as the first engine configured it. It answers `attach` and
 * `cancel` itself, and refuses every other call.
 * Upstream: https://github.com/pulumi/pulumi/pull/8979 added PULUMI_DEBUG_PROVIDERS;
 * https://github.com/pulumi/pulumi/issues/2396 says what it is for.
 * Seen in: Pulumi 3.259.0.
 * Remove it when: Pulumi can share plugins by itself.
 */
import grpc from "@grpc/grpc-js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import { callError, EMPTY, ProviderConnection, serveProviderCalls } from "../provider-proxy.ts";

export interface PluginProxy {
  readonly port: number;
  /** Sets the plugin's address, `host:port`. Calls wait until it is set. */
  connect(address: string): void;
  close(): void;
}

/** Answers a call of an engine itself or passes it to the plugin. */
type Rule = (request: Buffer, pass: () => Promise<Buffer>) => Promise<Buffer>;

/** The calls that are passed as they are. By the protocol, none of them changes anything. */
const PASSED = ["check", "checkConfig", "diff", "diffConfig", "getPluginInfo", "getSchema", "read"];

/**
 * Starts a proxy on a free port of 127.0.0.1. With `heedsConfig`, it refuses a configuration that
 * differs from the first one, because the plugin would use it for all engines.
 */
export async function startPluginProxy(heedsConfig: boolean): Promise<PluginProxy> {
  const target = Promise.withResolvers<ProviderConnection>();
  const rules: Readonly<Partial<Record<string, Rule>>> = {
    ...Object.fromEntries(PASSED.map((name) => [name, passRule])),
    configure: heedsConfig ? configureOnce() : passRule,
    create: onlyPreviews(providerProto.CreateRequest),
    update: onlyPreviews(providerProto.UpdateRequest),
    delete: () => Promise.reject(callError(grpc.status.FAILED_PRECONDITION, NO_CHANGES)),
    attach: () => Promise.resolve(EMPTY),
    cancel: () => Promise.resolve(EMPTY),
  };
  const server = await serveProviderCalls((call) => {
    const rule = rules[call.name] ?? refuse(call.name);
    return rule(call.request, async () => (await target.promise).call(call));
  });
  return {
    port: server.port,
    connect: (address) => target.resolve(new ProviderConnection(address)),
    close: () => {
      server.close();
      void target.promise.then((connection) => connection.close());
    },
  };
}

const passRule: Rule = (_request, pass) => pass();

/** UNIMPLEMENTED is what engines expect of a plugin that lacks an optional method, like `handshake`. */
function refuse(name: string): Rule {
  const message = `a plugin that previews share does not answer "${name}"`;
  return () => Promise.reject(callError(grpc.status.UNIMPLEMENTED, message));
}

function configureOnce(): Rule {
  let first: { readonly args: string; readonly response: Promise<Buffer> } | undefined;
  return (request, pass) => {
    const parsed = providerProto.ConfigureRequest.deserializeBinary(request);
    const args = JSON.stringify(parsed.getArgs()?.toJavaScript());
    first ??= { args, response: pass() };
    if (first.args === args) return first.response;
    return Promise.reject(callError(grpc.status.FAILED_PRECONDITION, OTHER_CONFIG));
  };
}

/** Passes the question what a create or an update would result in. */
function onlyPreviews(message: {
  deserializeBinary(bytes: Uint8Array): { getPreview(): boolean };
}): Rule {
  return (request, pass) => {
    if (message.deserializeBinary(request).getPreview()) return pass();
    return Promise.reject(callError(grpc.status.FAILED_PRECONDITION, NO_CHANGES));
  };
}

export const NO_CHANGES = "a preview changes nothing";

/** The error of a stack that configures a shared plugin differently. */
export const OTHER_CONFIG = "this plugin is shared with stacks of another configuration";
