import { readFile, writeFile } from "node:fs/promises";
import { createServer, connect, type Socket } from "node:net";
import { join } from "node:path";
import { CoreV1Api, KubeConfig, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import type { AgentKubernetes } from "../../components/citadel-agent/configuration.ts";

/** The sandbox's real API server, with the agent's access to it. */
export interface AgentCluster {
  /** Uses an account with the agent's permissions, and a TCP proxy that can fail. */
  readonly access: AgentKubernetes;
  /** Creates a namespace. */
  namespace(name: string, labels?: Record<string, string>): Promise<void>;
  pod(namespace: string, name: string, labels?: Record<string, string>): Promise<void>;
  removePod(namespace: string, name: string): Promise<void>;
  /** Resets all connections to the API server. */
  cut(): void;
  /** Accepts connections to the API server without answering. */
  silence(): void;
  /** The number of open connections. */
  connections(): number;
  restore(): void;
  close(): Promise<void>;
}

export async function startCluster(folder: string): Promise<AgentCluster> {
  const config = new KubeConfig();
  config.loadFromDefault();
  const core = config.makeApiClient(CoreV1Api);
  const server = new URL(config.getCurrentCluster()?.server ?? "");
  const caFile = join(folder, "api-server.crt");
  const ca = config.getCurrentCluster();
  await writeFile(
    caFile,
    ca?.caData ? Buffer.from(ca.caData, "base64") : await readFile(ca?.caFile ?? ""),
  );

  const account = `agent-${process.pid}-${Date.now().toString(36)}`;
  const namespaces: string[] = [];
  await core.createNamespacedServiceAccount({
    namespace: "default",
    body: { metadata: { name: account } },
  });
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  await rbac.createClusterRole({
    body: {
      metadata: { name: account },
      rules: [{ apiGroups: [""], resources: ["pods", "namespaces"], verbs: ["get"] }],
    },
  });
  await rbac.createClusterRoleBinding({
    body: {
      metadata: { name: account },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: account },
      subjects: [{ kind: "ServiceAccount", name: account, namespace: "default" }],
    },
  });
  const { status } = await core.createNamespacedServiceAccountToken({
    name: account,
    namespace: "default",
    body: { spec: { audiences: [], expirationSeconds: 7200 } },
  });
  const tokenFile = join(folder, "token");
  await writeFile(tokenFile, status?.token ?? "", { mode: 0o600 });

  const proxy = await startProxy(server);
  return {
    access: { url: `https://127.0.0.1:${proxy.port}`, caFile, tokenFile },
    async namespace(name, labels = {}) {
      await core.createNamespace({ body: { metadata: { name, labels } } });
      namespaces.push(name);
    },
    async pod(namespace, name, labels = {}) {
      await core.createNamespacedPod({
        namespace,
        body: {
          metadata: { name, labels },
          spec: {
            automountServiceAccountToken: false,
            nodeSelector: { "no/node": "has-it" },
            containers: [{ name: "app", image: "app" }],
          },
        },
      });
    },
    async removePod(namespace, name) {
      await core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
    },
    cut: () => proxy.set("cut"),
    silence: () => proxy.set("silent"),
    connections: () => proxy.connections(),
    restore: () => proxy.set("open"),
    async close() {
      await proxy.close();
      await Promise.all([
        ...namespaces.map((name) => core.deleteNamespace({ name })),
        rbac.deleteClusterRole({ name: account }),
        rbac.deleteClusterRoleBinding({ name: account }),
        core.deleteNamespacedServiceAccount({ namespace: "default", name: account }),
      ]);
    },
  };
}

/** A TCP proxy. Changing its state breaks all open connections. */
async function startProxy(target: URL) {
  const open = new Set<Socket>();
  let state: "open" | "cut" | "silent" = "open";
  const drop = () => {
    for (const socket of open) socket.destroy();
  };
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => open.delete(socket));
    if (state === "cut") socket.resetAndDestroy();
    else if (state === "silent") socket.resume();
    else {
      const other = connect(Number(target.port), target.hostname);
      other.on("error", () => other.destroy()).on("close", () => socket.destroy());
      socket.on("close", () => other.destroy());
      socket.pipe(other).pipe(socket);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    connections: () => open.size,
    set(next: typeof state) {
      state = next;
      drop();
    },
    close: async () => {
      drop();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
