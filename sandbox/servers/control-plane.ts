import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api, Health, KubeConfig } from "@kubernetes/client-node";
import { type Context, partFolder } from "../context.ts";
import { type RestartableServer, startRestartable, startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { startEtcd } from "./etcd.ts";

/** The accounts that may call the API server. Each account has a token and a kubeconfig. */
interface Account {
  /** @default the account's name */
  readonly user?: string;
  /** @default "system:masters" */
  readonly group?: string;
}

const ACCOUNTS = { "sandbox-admin": {}, "controller-manager": {}, scheduler: {} } as const;

export interface ControlPlaneOptions<Name extends string> {
  /** The accounts in addition to those of the control plane. */
  readonly accounts: Readonly<Record<Name, Account>>;
  /** `https://host:port` of the API server. */
  readonly url: string;
  /** The range of the addresses of Services. */
  readonly serviceRange: string;
  /** Flags for the API server in addition to the common ones. */
  readonly apiServerFlags: readonly string[];
  /** Whether this process reaches the address on which etcd listens. */
  readonly reachesEtcd: boolean;
}

/** etcd and the API server, without controllers and scheduler. */
export interface ControlPlane<Name extends string> {
  readonly folder: string;
  /** A client with all rights. */
  readonly admin: KubeConfig;
  /** The API server's own certificate, as a file. It is its authority, too. */
  readonly certificate: string;
  readonly signingKey: string;
  readonly apiServer: RestartableServer;
  /** The path of an account's kubeconfig, which only this user can read. */
  readonly kubeconfig: (account: Name | keyof typeof ACCOUNTS) => string;
}

/** Starts etcd and a production API server. */
export async function startControlPlane<Name extends string>(
  context: Context,
  tools: Record<"kubernetes" | "etcd", BuiltFamily>,
  options: ControlPlaneOptions<Name>,
): Promise<ControlPlane<Name>> {
  const folder = await partFolder(context, "kubernetes");
  const accounts: Readonly<Record<string, Account>> = { ...ACCOUNTS, ...options.accounts };
  const identities = await writeIdentities(context, folder, accounts);
  const etcd = await startEtcd(context, tools.etcd, { isReachable: options.reachesEtcd });
  context.report("kubernetes", "etcd runs");

  const { url, serviceRange, apiServerFlags } = options;
  const { hostname, port } = new URL(url);
  const kubeconfig = (account: string) => join(folder, `${account}.kubeconfig`);
  const apiServer = await startRestartable(() =>
    startServer(context, {
      name: "kube-apiserver",
      command: tools.kubernetes.program("kube-apiserver"),
      args: [
        `--etcd-servers=${etcd}`,
        `--bind-address=${hostname}`,
        // Keeps the machine's own addresses out of the cluster.
        `--advertise-address=${hostname}`,
        `--secure-port=${port}`,
        // The server writes a self-signed certificate for its address to this folder.
        `--cert-dir=${folder}`,
        `--token-auth-file=${identities.tokenFile}`,
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        `--service-cluster-ip-range=${serviceRange}`,
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-signing-key-file=${identities.signingKey}`,
        `--service-account-key-file=${identities.verifyingKey}`,
        ...apiServerFlags,
      ],
      folder,
      ready: async () => {
        await writeKubeconfigs(folder, url, identities.tokens, kubeconfig);
        const config = new KubeConfig();
        config.loadFromFile(kubeconfig("sandbox-admin"));
        await readyz(config);
      },
    }),
  );
  context.report("kubernetes", "the API server answers");
  const admin = new KubeConfig();
  admin.loadFromFile(kubeconfig("sandbox-admin"));
  const certificate = join(folder, "apiserver.crt");
  const { signingKey } = identities;
  return { folder, admin, certificate, signingKey, apiServer, kubeconfig };
}

/** Starts the controller manager and the scheduler of a control plane. */
export async function startControllers(
  context: Context,
  tools: BuiltFamily,
  plane: ControlPlane<never>,
): Promise<void> {
  await Promise.all([
    startControllerManager(context, tools, plane),
    startScheduler(context, tools, plane),
  ]);
}

interface Identities {
  readonly tokenFile: string;
  readonly signingKey: string;
  readonly verifyingKey: string;
  readonly tokens: ReadonlyMap<string, string>;
}

async function writeIdentities(
  context: Context,
  folder: string,
  accounts: Readonly<Record<string, Account>>,
): Promise<Identities> {
  const tokens = new Map(Object.keys(accounts).map((name) => [name, context.secrets.make()]));
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
  const lines = Object.entries(accounts).map(
    ([name, { user = name, group = "system:masters" }]) =>
      `${tokens.get(name)},${user},${user},"${group}"`,
  );
  return {
    tokens,
    tokenFile: await write("tokens.csv", `${lines.join("\n")}\n`),
    signingKey: await write("service-accounts.key", privateKey),
    verifyingKey: await write("service-accounts.pub", publicKey),
  };
}

/** Throws until all of the server's own checks pass, because roles are missing before. */
async function readyz(config: KubeConfig): Promise<void> {
  const signal = AbortSignal.timeout(2_000);
  if (!(await new Health(config).readyz({ signal }))) throw new Error("it is not ready");
}

async function writeKubeconfigs(
  folder: string,
  url: string,
  tokens: ReadonlyMap<string, string>,
  fileOf: (account: string) => string,
): Promise<void> {
  const authority = await readFile(join(folder, "apiserver.crt"), "base64");
  for (const [user, token] of tokens) {
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        { name: "sandbox", cluster: { server: url, "certificate-authority-data": authority } },
      ],
      users: [{ name: user, user: { token } }],
      contexts: [{ name: "sandbox", context: { cluster: "sandbox", user } }],
      "current-context": "sandbox",
    };
    // YAML is a superset of JSON.
    await writeFile(fileOf(user), JSON.stringify(config, null, 2), { mode: 0o600 });
  }
}

async function startControllerManager(
  context: Context,
  tools: BuiltFamily,
  { folder, admin, certificate, signingKey, kubeconfig }: ControlPlane<never>,
): Promise<void> {
  const core = admin.makeApiClient(CoreV1Api);
  await startServer(context, {
    name: "kube-controller-manager",
    command: tools.program("kube-controller-manager"),
    args: [
      `--kubeconfig=${kubeconfig("controller-manager")}`,
      `--service-account-private-key-file=${signingKey}`,
      `--root-ca-file=${certificate}`,
      // Each controller has its own service account, as in production.
      "--use-service-account-credentials=true",
      "--leader-elect=false",
      "--secure-port=0",
      // It creates about 40 accounts and their tokens at its start: the default of 20 calls a second
      // would delay every start by 5 seconds.
      "--kube-api-qps=200",
      "--kube-api-burst=400",
    ],
    folder,
    // No pod is admitted before the controller manager has created this account.
    ready: () => core.readNamespacedServiceAccount({ name: "default", namespace: "default" }),
  });
}

async function startScheduler(
  context: Context,
  tools: BuiltFamily,
  { folder, kubeconfig }: ControlPlane<never>,
): Promise<void> {
  await startServer(context, {
    name: "kube-scheduler",
    command: tools.program("kube-scheduler"),
    args: [`--kubeconfig=${kubeconfig("scheduler")}`, "--leader-elect=false", "--secure-port=0"],
    folder,
    // The scheduler has no port. `workloadsRun` shows that it works.
    ready: () => undefined,
  });
}
