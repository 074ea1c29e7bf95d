import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api, Health, KubeConfig } from "@kubernetes/client-node";
import { type Context, type Part, partFolder } from "../context.ts";
import { startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { applyWorkloads, workloadsRun } from "../platform.ts";
import { startEtcd } from "./etcd.ts";
import { startKwok } from "./kwok.ts";

const USERS = ["sandbox-admin", "controller-manager", "scheduler", "kwok"] as const;
type User = (typeof USERS)[number];

export interface KubernetesServer {
  /** The path of the administrator's kubeconfig, which only this user can read. */
  readonly kubeconfig: string;
  readonly part: Part;
}

/**
 * Starts a production control plane with kwok nodes instead of kubelets: pods are scheduled and become
 * Ready, but run nothing. Then creates the workloads that a platform has before rdev-infra.
 */
export async function startKubernetes(
  context: Context,
  tools: Record<"kubernetes" | "etcd" | "kwok", BuiltFamily>,
): Promise<KubernetesServer> {
  const folder = await partFolder(context, "kubernetes");
  const identities = await writeIdentities(context, folder);
  const etcd = await startEtcd(context, tools.etcd);
  context.report("kubernetes", "etcd answers");

  const url = `https://127.0.0.1:${context.ports.take()}`;
  await startApiServer(context, { tools: tools.kubernetes, folder, url, etcd, identities });
  context.report("kubernetes", "the API server answers");
  const kubeconfig = kubeconfigOf(folder, "sandbox-admin");
  const admin = new KubeConfig();
  admin.loadFromFile(kubeconfig);

  await Promise.all([
    startControllerManager(context, tools.kubernetes, folder, identities, admin),
    startScheduler(context, tools.kubernetes, folder),
    startKwok(context, tools.kwok, kubeconfigOf(folder, "kwok"), admin),
    applyWorkloads(admin),
  ]);
  context.report("kubernetes", "controllers, scheduler and nodes are up");
  await workloadsRun(admin);
  return {
    kubeconfig,
    part: {
      name: "Kubernetes",
      real: true,
      version: tools.kubernetes.version,
      address: url,
      reach:
        "KUBECONFIG names its file: kubectl get pods -A. Its nodes are kwok nodes: pods run nothing",
    },
  };
}

interface Identities {
  readonly tokenFile: string;
  readonly signingKey: string;
  readonly verifyingKey: string;
  readonly tokens: Record<User, string>;
}

async function writeIdentities(context: Context, folder: string): Promise<Identities> {
  const tokens = Object.fromEntries(USERS.map((user) => [user, context.secrets.make()])) as Record<
    User,
    string
  >;
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "sec1", format: "pem" },
  });
  const write = async (name: string, content: string) => {
    const path = join(folder, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const lines = USERS.map((user) => `${tokens[user]},${user},${user},"system:masters"`);
  return {
    tokens,
    tokenFile: await write("tokens.csv", `${lines.join("\n")}\n`),
    signingKey: await write("service-accounts.key", privateKey),
    verifyingKey: await write("service-accounts.pub", publicKey),
  };
}

async function startApiServer(
  context: Context,
  options: {
    tools: BuiltFamily;
    folder: string;
    url: string;
    etcd: string;
    identities: Identities;
  },
): Promise<void> {
  const { tools, folder, url, etcd, identities } = options;
  await startServer(context, {
    name: "kube-apiserver",
    command: tools.program("kube-apiserver"),
    args: [
      `--etcd-servers=${etcd}`,
      "--bind-address=127.0.0.1",
      // Keeps the machine's own addresses out of the cluster.
      "--advertise-address=127.0.0.1",
      "--endpoint-reconciler-type=none",
      `--secure-port=${new URL(url).port}`,
      // The server writes a self-signed certificate for 127.0.0.1 to this folder.
      `--cert-dir=${folder}`,
      `--token-auth-file=${identities.tokenFile}`,
      "--anonymous-auth=false",
      "--authorization-mode=Node,RBAC",
      "--allow-privileged=true",
      "--service-cluster-ip-range=10.96.0.0/16",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-signing-key-file=${identities.signingKey}`,
      `--service-account-key-file=${identities.verifyingKey}`,
    ],
    folder,
    ready: async () => {
      await writeKubeconfigs(folder, url, identities.tokens);
      const config = new KubeConfig();
      config.loadFromFile(kubeconfigOf(folder, "sandbox-admin"));
      await readyz(config);
    },
  });
}

/** Throws until all of the server's own checks pass, because roles are missing before. */
async function readyz(config: KubeConfig): Promise<void> {
  const signal = AbortSignal.timeout(2_000);
  if (!(await new Health(config).readyz({ signal }))) throw new Error("it is not ready");
}

async function writeKubeconfigs(
  folder: string,
  url: string,
  tokens: Record<User, string>,
): Promise<void> {
  const authority = await readFile(join(folder, "apiserver.crt"), "base64");
  for (const user of USERS) {
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        { name: "sandbox", cluster: { server: url, "certificate-authority-data": authority } },
      ],
      users: [{ name: user, user: { token: tokens[user] } }],
      contexts: [{ name: "sandbox", context: { cluster: "sandbox", user } }],
      "current-context": "sandbox",
    };
    // YAML is a superset of JSON.
    await writeFile(kubeconfigOf(folder, user), JSON.stringify(config, null, 2), { mode: 0o600 });
  }
}

function kubeconfigOf(folder: string, user: User): string {
  return join(folder, `${user}.kubeconfig`);
}

async function startControllerManager(
  context: Context,
  tools: BuiltFamily,
  folder: string,
  identities: Identities,
  admin: KubeConfig,
): Promise<void> {
  const core = admin.makeApiClient(CoreV1Api);
  await startServer(context, {
    name: "kube-controller-manager",
    command: tools.program("kube-controller-manager"),
    args: [
      `--kubeconfig=${kubeconfigOf(folder, "controller-manager")}`,
      `--service-account-private-key-file=${identities.signingKey}`,
      `--root-ca-file=${join(folder, "apiserver.crt")}`,
      // As in production, each controller has its own service account.
      "--use-service-account-credentials=true",
      "--leader-elect=false",
      "--secure-port=0",
    ],
    folder,
    // No pod is admitted before the controller manager has created this account.
    ready: () => core.readNamespacedServiceAccount({ name: "default", namespace: "default" }),
  });
}

async function startScheduler(context: Context, tools: BuiltFamily, folder: string): Promise<void> {
  await startServer(context, {
    name: "kube-scheduler",
    command: tools.program("kube-scheduler"),
    args: [
      `--kubeconfig=${kubeconfigOf(folder, "scheduler")}`,
      "--leader-elect=false",
      "--secure-port=0",
    ],
    folder,
    // The scheduler has no port. `workloadsRun` shows that it works.
    ready: () => undefined,
  });
}
