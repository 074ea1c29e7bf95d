/**
 * An engine starts its plugins for itself, and ends them with the operation.
 *
 * Reason: starting them is a third of an operation's time. PULUMI_DEBUG_PROVIDERS makes an engine use a
 * running plugin, but then all providers of the stack share it, and the engine cancels it for good at
 * its end, which nobody can tell from a cancelled operation.
 * Workaround: the service keeps plugins and lends them to one operation at a time
 * (automation/worker/plugin-pool.ts). A proxy in the worker is between them and the engine, so that the
 * engine has what it would have without it:
 *
 * - A cancel reaches the plugin only if the engine waits for a call, or makes another one afterwards.
 *   The cancel at the end of an operation does neither. A cancelled plugin is not used again.
 * - A provider with another configuration than the project's file has gets a plugin of its own, as does
 *   every provider whose kept plugin does not answer.
 *
 * Upstream: https://github.com/pulumi/pulumi/issues/22767 and
 * https://github.com/pulumi/pulumi/issues/19534 ask for plugins that outlive an operation.
 * Seen in: Pulumi 3.259.0.
 * Remove it when: Pulumi can keep plugins by itself.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import grpc from "@grpc/grpc-js";
import providerRpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import { parse } from "yaml";
import { z } from "zod";
import { processEnvironment } from "../../../core/connections.ts";
import { findPlugin, type PluginName, type PluginProcess, startPlugin } from "../plugin-process.ts";
import {
  callError,
  EMPTY,
  type ProviderCall,
  ProviderConnection,
  serveProviderCalls,
} from "../provider-proxy.ts";
import { homeWithoutLogs } from "./debug-logs.ts";
import { RUNNING_PLUGINS } from "./dynamic-plugin.ts";

interface KeptPluginsOptions {
  readonly names: readonly PluginName[];
  /** The port of each plugin; null if one did not start, so that each provider gets one of its own. */
  readonly ports: Promise<Readonly<Partial<Record<PluginName, number>>> | null>;
  /** The current folder of plugins that are started for one provider. */
  readonly workDir: string;
}

export interface KeptPlugins {
  /** The variables that make an engine use these plugins. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether another operation may use the plugins. Only after an operation that succeeded. */
  areReusable(): Promise<boolean>;
}

/** Serves kept plugins to the engines of one operation. The proxies end with this process. */
export async function serveKeptPlugins({
  names,
  ports,
  workDir,
}: KeptPluginsOptions): Promise<KeptPlugins> {
  const proxies = await Promise.all(
    names.map((name) =>
      serveKeptPlugin(name, {
        port: ports.then((all) => all?.[name]),
        configuration: configurationIn(workDir, name),
        startOwn: (engine) => startOwn(name, engine, workDir),
      }),
    ),
  );
  const addresses = names.map((name, index) => `${name}:${proxies[index]!.port}`);
  // The first address of a plugin counts, so a developer's own one does.
  const own = processEnvironment()[RUNNING_PLUGINS];
  return {
    env: { [RUNNING_PLUGINS]: [...(own ? [own] : []), ...addresses].join(",") },
    areReusable: async () => {
      const reusable = await Promise.all(proxies.map((proxy) => proxy.isReusable()));
      return reusable.every(Boolean);
    },
  };
}

const projectFile = z.object({ config: z.record(z.string(), z.object({ value: z.string() })) });

/** What the project's file configures for all stacks. */
function configurationIn(workDir: string, name: PluginName): Record<string, string> {
  const text = readFileSync(join(workDir, "Pulumi.yaml"), "utf8");
  const config = Object.entries(projectFile.safeParse(parse(text)).data?.config ?? {});
  const own = config.filter(([key]) => key.startsWith(`${name}:`));
  return Object.fromEntries(own.map(([key, { value }]) => [key.slice(name.length + 1), value]));
}

/** Starts a plugin like the engine would. It ends with this process's operation. */
async function startOwn(name: PluginName, engine: string, workDir: string): Promise<PluginProcess> {
  const program = await findPlugin(name, workDir);
  if (program === undefined) throw new Error(`the plugin ${name} is no longer installed`);
  const env = { ...processEnvironment(), ...(await homeWithoutLogs()) };
  return startPlugin(program, { engine, cwd: workDir, env });
}

interface KeptPluginOptions {
  /** Undefined if the plugin did not start. */
  readonly port: Promise<number | undefined>;
  /** The only configuration that the kept plugin for Kubernetes gets. The other plugins heed none. */
  readonly configuration: Readonly<Record<string, string>>;
  /** Starts a plugin that takes the address for its engine. */
  readonly startOwn: (engine: string) => Promise<Pick<PluginProcess, "port">>;
}

export interface KeptPlugin {
  /** For engines. */
  readonly port: number;
  isReusable(): Promise<boolean>;
  close(): void;
}

/** Serves one kept plugin. */
export async function serveKeptPlugin(
  name: PluginName,
  options: KeptPluginOptions,
): Promise<KeptPlugin> {
  const plugin = new KeptPluginProxy(name, options);
  const server = await serveProviderCalls((call) => plugin.answer(call));
  plugin.address = `127.0.0.1:${server.port}`;
  return {
    port: server.port,
    isReusable: () => plugin.isReusable(),
    close: () => {
      server.close();
      plugin.close();
    },
  };
}

/** A provider of an engine. */
interface Peer {
  /** The calls with which the engine began, for a plugin that replaces the kept one. */
  readonly opening: ProviderCall[];
  /** Undefined while it uses the kept plugin. */
  own: ProviderConnection | undefined;
  /** Calls that the engine waits for. */
  running: number;
  /** A cancel that did not reach the plugin yet. */
  cancel: ProviderCall | undefined;
}

class KeptPluginProxy {
  address = "";
  readonly #name: PluginName;
  readonly #options: KeptPluginOptions;
  readonly #kept: Promise<ProviderConnection | undefined>;
  readonly #peers = new Map<string, Peer>();
  /** Calls that the kept plugin works on. */
  #running = 0;
  #isTainted = false;
  #isConfigured = false;

  constructor(name: PluginName, options: KeptPluginOptions) {
    this.#name = name;
    this.#options = options;
    this.#kept = options.port.then((port) =>
      port === undefined ? undefined : new ProviderConnection(`127.0.0.1:${port}`),
    );
  }

  async answer(call: ProviderCall): Promise<Buffer> {
    const peer = this.#peerOf(call);
    if (call.name === "cancel") return this.#cancel(peer, call);
    const late = peer.cancel;
    peer.cancel = undefined;
    if (late) await this.#pass(peer, late);
    if (call.name === "configure" && !peer.own) {
      // The plugin for Kubernetes keeps parts of an earlier configuration.
      if (this.#isForeign(call)) await this.#replace(peer);
      else this.#isConfigured = true;
    }
    if (call.name !== "handshake" && call.name !== "attach") return this.#pass(peer, call);
    const answer = await this.#open(peer, call);
    peer.opening.push(call);
    return answer;
  }

  async isReusable(): Promise<boolean> {
    if (this.#isTainted || this.#running > 0) return false;
    if (this.#name !== "kubernetes" || !this.#isConfigured) return true;
    return this.#reachesCluster();
  }

  close(): void {
    for (const { own } of this.#peers.values()) own?.close();
    void this.#kept.then((connection) => connection?.close());
  }

  /**
   * An engine begins each connection with a handshake, also one with the port of an earlier connection.
   * Another first call comes from a connection that was opened again, and nothing tells which provider
   * it belongs to.
   */
  #peerOf(call: ProviderCall): Peer {
    const known = this.#peers.get(call.peer);
    if (known && call.name !== "handshake") return known;
    if (call.name !== "handshake") {
      const message = `the plugin ${this.#name} lost the connection to its engine`;
      throw callError(grpc.status.FAILED_PRECONDITION, message);
    }
    const peer: Peer = { opening: [], own: undefined, running: 0, cancel: undefined };
    this.#peers.set(call.peer, peer);
    return peer;
  }

  /** Without a call under way, a cancel is the end of the operation, unless a call follows. */
  async #cancel(peer: Peer, call: ProviderCall): Promise<Buffer> {
    if (peer.running > 0) return this.#pass(peer, call);
    peer.cancel = call;
    return EMPTY;
  }

  #isForeign(call: ProviderCall): boolean {
    if (this.#name !== "kubernetes") return false;
    const args = providerProto.ConfigureRequest.deserializeBinary(call.request).getArgs();
    const { version: _, ...own } = args?.toJavaScript() ?? {};
    return !isDeepStrictEqual(own, this.#options.configuration);
  }

  async #open(peer: Peer, call: ProviderCall): Promise<Buffer> {
    try {
      return await this.#pass(peer, call);
    } catch (error) {
      if (peer.own || (error as grpc.ServiceError).code !== grpc.status.UNAVAILABLE) throw error;
      await this.#replace(peer);
      return this.#pass(peer, call);
    }
  }

  /** Gives the provider a plugin of its own. */
  async #replace(peer: Peer): Promise<void> {
    const { port } = await this.#options.startOwn(this.address);
    const own = new ProviderConnection(`127.0.0.1:${port}`);
    for (const call of peer.opening) {
      await own.call(call).catch((error: grpc.ServiceError) => {
        if (error.code !== grpc.status.UNIMPLEMENTED) throw error;
      });
    }
    peer.own = own;
  }

  async #pass(peer: Peer, call: ProviderCall): Promise<Buffer> {
    peer.running += 1;
    try {
      return peer.own ? await peer.own.call(call) : await this.#passToKept(call);
    } finally {
      peer.running -= 1;
    }
  }

  async #passToKept(call: ProviderCall): Promise<Buffer> {
    if (call.name === "cancel") this.#isTainted = true;
    this.#running += 1;
    try {
      const connection = await this.#kept;
      if (!connection) throw callError(grpc.status.UNAVAILABLE, "the plugin did not start");
      return await connection.call(call);
    } catch (error) {
      const { code } = error as grpc.ServiceError;
      this.#isTainted ||= code === grpc.status.UNAVAILABLE || code === grpc.status.CANCELLED;
      throw error;
    } finally {
      this.#running -= 1;
    }
  }

  /**
   * The official plugin for Kubernetes remembers for good that the API server did not answer when it
   * was configured (`clusterUnreachable` in provider.go of pulumi-kubernetes 4.34), and refuses reads.
   */
  async #reachesCluster(): Promise<boolean> {
    const urn = "urn:pulumi:probe::probe::kubernetes:core/v1:Namespace::default";
    const request = new providerProto.ReadRequest().setId("default").setUrn(urn);
    const { path } = providerRpc.ResourceProviderService.read;
    const abandoned = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    try {
      const connection = await this.#kept;
      await connection?.call({ path, request: Buffer.from(request.serializeBinary()), abandoned });
      return true;
    } catch {
      return false;
    }
  }
}

const PROBE_TIMEOUT_MS = 2_000;
