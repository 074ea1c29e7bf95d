import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CoreV1Api, type V1Pod } from "@kubernetes/client-node";
import { execa } from "execa";
import { killProcess, processIds } from "../../automation/processes/processes.ts";
import { METRICS_PORT } from "../../components/citadel-agent/configuration.ts";
import { citadelLabels, ENVIRONMENT_LABEL } from "../../core/labels.ts";
import { visit } from "../../sandbox/demo/visits.ts";
import type { SandboxNode } from "../../sandbox/cluster.ts";
import { PLATFORM, sandboxPlatform } from "../../sandbox/platform.ts";
import { until } from "../../sandbox/process.ts";
import { citadelLabelsOf, kubeConfig, variable } from "../../sandbox/proofs/project.ts";
import { type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";
import { type IngestProxy, startIngestProxy } from "./ingest-proxy.ts";

const COMMAND = join(import.meta.dirname, "../../cli/rdev-infra.js");
const PORT = 8080;

export interface PodOptions {
  readonly namespace: string;
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  /** The environment that the pod names. @default none */
  readonly tenant?: string | undefined;
  /** Such as 64Mi. @default the namespace's */
  readonly memory?: string;
  /** Whether the kubelet starts it again when it has ended. @default false */
  readonly restarts?: boolean;
}

/** A platform whose log agent runs on a real node, with a proxy that counts the lines it sends. */
export class AgentOnNode {
  readonly sandbox: Sandbox;
  readonly node: SandboxNode;
  readonly proxy: IngestProxy;
  readonly core: CoreV1Api;
  /** The variables for rdev-infra. Citadel is behind the proxy. */
  readonly env: Readonly<Record<string, string>>;
  readonly #agentNamespace: string;

  private constructor(sandbox: Sandbox, proxy: IngestProxy, agentNamespace: string) {
    this.sandbox = sandbox;
    this.node = sandbox.node ?? assert.fail("the sandbox has no real node");
    this.proxy = proxy;
    this.env = { ...sandbox.env, CITADEL_URL: proxy.url };
    this.core = kubeConfig(sandbox).makeApiClient(CoreV1Api);
    this.#agentNamespace = agentNamespace;
  }

  /** Brings up the platform and projects with these slugs. */
  static async start(slugs: readonly string[]): Promise<AgentOnNode> {
    const settings = await sandboxPlatform();
    const sandbox = await startSandbox({ ...settings, realNode: true });
    const host = sandbox.node?.link.host ?? assert.fail("the sandbox has no real node");
    const proxy = await startIngestProxy(variable(sandbox, "CITADEL_URL"), host);
    const stage = new AgentOnNode(sandbox, proxy, settings.agentNamespace);
    try {
      await stage.run("up", PLATFORM, "--yes");
      await Promise.all(slugs.map((slug) => stage.run("up", `${PLATFORM}.${slug}`, "--yes")));
    } catch (error) {
      await stage.stop();
      throw error;
    }
    return stage;
  }

  /** Runs rdev-infra, and returns its standard output. */
  async run(...args: string[]): Promise<string> {
    const { env, sandbox } = this;
    const { stdout } = await execa(process.execPath, [COMMAND, ...args], {
      env,
      cwd: sandbox.workFolder,
    });
    return stdout;
  }

  /** The environment of a namespace's pods. */
  async tenantOf(namespace: string): Promise<string> {
    const { metadata } = await this.core.readNamespace({ name: namespace });
    return metadata?.labels?.[ENVIRONMENT_LABEL] ?? assert.fail(`${namespace} has no environment`);
  }

  /** The environment of the platform itself. */
  async platformTenant(): Promise<string> {
    const { workloads } = await sandboxPlatform();
    const [workload] = workloads;
    const labels = await citadelLabelsOf(this, workload ?? assert.fail("there is no workload"));
    return labels[ENVIRONMENT_LABEL] ?? assert.fail("the workload has no environment");
  }

  /** Creates a pod with one container. Resolves with the pod's address when the container runs. */
  async createPod(options: PodOptions): Promise<string> {
    const { namespace, name, image, args = [], tenant, memory, restarts = false } = options;
    await this.core.createNamespacedPod({
      namespace,
      body: {
        metadata: { name, labels: citadelLabels(name, tenant) },
        spec: {
          automountServiceAccountToken: false,
          restartPolicy: restarts ? "Always" : "Never",
          terminationGracePeriodSeconds: 0,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
          containers: [
            {
              name: "main",
              image,
              args: [...args],
              ...(memory && { resources: { requests: { memory }, limits: { memory } } }),
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            },
          ],
        },
      },
    });
    let address = "";
    await until(async () => {
      const { status } = await this.pod(namespace, name);
      assert.ok(status?.containerStatuses?.[0]?.started !== undefined, JSON.stringify(status));
      address = status.podIP ?? assert.fail("the pod has no address");
    });
    return address;
  }

  pod(namespace: string, name: string): Promise<V1Pod> {
    return this.core.readNamespacedPod({ namespace, name });
  }

  async deletePod(namespace: string, name: string): Promise<void> {
    await this.core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
  }

  /** The body of a pod's answer. Needs no API server. */
  async ask(address: string, path: string, port = PORT): Promise<string> {
    const url = `http://${address}:${port}${path}`;
    const [answer] = await visit(this.node, { url, perSecond: 1, count: 1 });
    if (!answer || !("status" in answer) || answer.status !== 200) {
      throw new Error(`${url}: ${JSON.stringify(answer)}`);
    }
    return answer.body;
  }

  /** The agent's pod, whose container runs. */
  async agent(): Promise<RunningAgent> {
    let found: RunningAgent | undefined;
    await until(async () => {
      const { items } = await this.core.listNamespacedPod({ namespace: this.#agentNamespace });
      const status = items[0]?.status;
      const container = status?.containerStatuses?.[0];
      assert.ok(container?.ready, JSON.stringify(container?.state));
      const id = (container.containerID ?? "").replace(/^.*\//, "");
      assert.ok(id !== "" && processesIn(id).length > 0, "its process runs");
      const { podIP = "" } = status ?? {};
      found = {
        kill: () => processesIn(id).forEach(killProcess),
        replace: () => this.deletePod(this.#agentNamespace, items[0]?.metadata?.name ?? ""),
        metrics: () => this.ask(podIP, "/api/v2/metrics/prometheus", METRICS_PORT),
      };
    });
    return found ?? assert.fail("the agent does not run");
  }

  /** Kills the API server, and starts it again after the work. */
  async withoutApiServer(work: () => void | Promise<void>): Promise<void> {
    const { apiServer } = this.node.servers;
    await apiServer.kill();
    try {
      await work();
    } finally {
      await apiServer.start();
    }
  }

  /** Resolves when the proxy has accepted further lines. */
  async furtherLines(): Promise<void> {
    const before = this.#acceptedLines();
    await until(() => assert.ok(this.#acceptedLines() > before, "further lines arrived"));
  }

  #acceptedLines(): number {
    return [...this.proxy.accepted.values()].reduce((sum, { size }) => sum + size, 0);
  }

  async stop(): Promise<void> {
    await this.proxy.close();
    await this.sandbox.stop();
  }
}

export interface RunningAgent {
  /** Sends SIGKILL to its processes. The kubelet starts it again, at once after a pod's first kill only. */
  kill(): void;
  /** Deletes its pod without grace. The DaemonSet makes another one. */
  replace(): Promise<void>;
  metrics(): Promise<string>;
}

/** A container's processes. Its id is unique, so no other sandbox has one of them. */
function processesIn(container: string): number[] {
  return processIds().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(container);
    } catch {
      return false; // has ended
    }
  });
}
