import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ENVIRONMENT_LABEL } from "../../core/labels.ts";
import { type AgentCluster, startCluster } from "./cluster.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { NodeLogs } from "./node-logs.ts";
import { type Sink, startSink } from "./sink.ts";

const KEY = "ck_agent_first";

/** A node with an agent, a sink in place of Citadel, and the sandbox's API server. */
export interface AgentStage {
  readonly folder: string;
  readonly cluster: AgentCluster;
  readonly sink: Sink;
  readonly engine: Engine;
  readonly node: NodeLogs;
  /** The platform's own tenant. */
  readonly platform: string;
  /** Creates a project: a namespace that is bound to a tenant, with one labelled pod `web`. */
  project(): Promise<{
    readonly tenant: string;
    readonly log: { namespace: string; pod: string; container: string };
  }>;
  /** A unique name. */
  name(prefix: string): string;
  close(): Promise<void>;
}

export async function startStage(options: Partial<EngineOptions> = {}): Promise<AgentStage> {
  const folder = await mkdtemp(join(tmpdir(), "rdev-agent-"));
  await mkdir(folder, { recursive: true });
  const cluster = await startCluster(folder);
  const sink = await startSink(KEY);
  const platform = randomUUID();
  const engine = new Engine({
    folder,
    key: KEY,
    tenant: platform,
    port: await freePort(),
    citadelUrl: sink.url,
    platform: "staging",
    namespace: "observability",
    kubernetes: cluster.access,
    ...options,
  });
  const node = new NodeLogs(folder, engine.logs);
  let names = 0;
  const name = (prefix: string) => `${prefix}-${process.pid}-${Date.now().toString(36)}-${names++}`;
  return {
    folder,
    cluster,
    sink,
    engine,
    node,
    platform,
    name,
    async project() {
      const namespace = name("project");
      const tenant = randomUUID();
      const log = { namespace, pod: "web", container: "app" };
      const labels = { [ENVIRONMENT_LABEL]: tenant };
      await cluster.namespace(namespace, labels);
      await cluster.pod(namespace, "web", { ...labels, "citadel.io/service": "shop" });
      await node.create(log);
      return { tenant, log };
    },
    async close() {
      await engine.kill();
      await sink.close();
      await cluster.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === "object" && address ? address.port : 0;
}
