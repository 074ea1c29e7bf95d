/**
 * The address of the API server and the credentials, from a kubeconfig or the pod's service account.
 * `KubeConfig` of @kubernetes/client-node is not used: its import costs each update half a second of
 * CPU, and it does not read `tokenFile`.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";

export interface Cluster {
  readonly server: string;
  readonly namespace: string;
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized: boolean;
  };
  /** The Authorization header. Reads token files each time, because they are rotated. */
  authorization(): string | undefined;
}

export interface ClusterChoice {
  /** A path, or the content. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
}

interface Kubeconfig {
  "current-context"?: string;
  contexts?: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
  clusters?: { name: string; cluster: Record<string, string | boolean | undefined> }[];
  users?: { name: string; user: Record<string, string | undefined> }[];
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Finds the cluster in the order of kubectl. The error names what is missing. */
export async function findCluster(
  choice: ClusterChoice,
  environment = process.env,
): Promise<Cluster> {
  if (choice.kubeconfig !== undefined) {
    const isContent = /^\s*\{|\n/.test(choice.kubeconfig);
    return isContent
      ? fromKubeconfig(choice.kubeconfig, process.cwd(), choice)
      : fromFile(choice.kubeconfig, choice);
  }
  const files = environment["KUBECONFIG"]?.split(delimiter).filter((file) => file !== "") ?? [];
  const file = [...files, join(homedir(), ".kube", "config")].find((path) => existsSync(path));
  if (file !== undefined) return fromFile(file, choice);
  if (environment["KUBERNETES_SERVICE_HOST"] !== undefined) return inCluster(choice, environment);
  throw new Error(
    `no Kubernetes cluster is configured: KUBECONFIG names ${
      files.length === 0 ? "no file" : `${files.join(", ")}, which does not exist`
    }, and there is no ~/.kube/config`,
  );
}

function fromFile(path: string, choice: ClusterChoice): Promise<Cluster> {
  return fromKubeconfig(readFileSync(path, "utf8"), dirname(resolve(path)), choice);
}

async function fromKubeconfig(
  text: string,
  folder: string,
  choice: ClusterChoice,
): Promise<Cluster> {
  // Imported late, so that the plugin prints its port sooner.
  const { parse } = await import("yaml");
  const config = (parse(text) ?? {}) as Kubeconfig;
  const name = choice.context ?? config["current-context"];
  const context = config.contexts?.find((item) => item.name === name)?.context;
  if (context === undefined) {
    const known = config.contexts?.map((item) => item.name).join(", ") || "none";
    throw new Error(`the kubeconfig has no context "${name ?? ""}"; its contexts are: ${known}`);
  }
  const cluster = config.clusters?.find((item) => item.name === context.cluster)?.cluster;
  const user = config.users?.find((item) => item.name === context.user)?.user ?? {};
  const server = cluster?.["server"];
  if (cluster === undefined || typeof server !== "string") {
    throw new Error(`the kubeconfig has no server for the cluster "${context.cluster}"`);
  }
  for (const method of ["exec", "auth-provider"]) {
    if (user[method] === undefined) continue;
    throw new Error(
      `the kubeconfig's user "${context.user}" logs in by ${method}: the stand-in for the plugin kubernetes ` +
        "supports tokens, client certificates and passwords; use the official plugin",
    );
  }
  const material = (from: Record<string, string | boolean | undefined>, key: string) => {
    const data = from[`${key}-data`];
    if (typeof data === "string") return Buffer.from(data, "base64").toString();
    const file = from[key];
    return typeof file === "string" ? readFileSync(resolve(folder, file), "utf8") : undefined;
  };
  const ca = material(cluster, "certificate-authority");
  const cert = material(user, "client-certificate");
  const key = material(user, "client-key");
  const servername = cluster["tls-server-name"];
  return {
    server,
    namespace: choice.namespace ?? context.namespace ?? "default",
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(typeof servername === "string" && { servername }),
      rejectUnauthorized: cluster["insecure-skip-tls-verify"] !== true,
    },
    authorization: () => authorizationOf(user, folder),
  };
}

function authorizationOf(
  user: Record<string, string | undefined>,
  folder: string,
): string | undefined {
  const { token, tokenFile, username, password } = user;
  if (token !== undefined) return `Bearer ${token}`;
  if (tokenFile !== undefined) {
    return `Bearer ${readFileSync(resolve(folder, tokenFile), "utf8").trim()}`;
  }
  if (username === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function inCluster(choice: ClusterChoice, environment: NodeJS.ProcessEnv): Cluster {
  const host = environment["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = environment["KUBERNETES_SERVICE_PORT"] ?? "443";
  const file = (name: string) => readFileSync(join(SERVICE_ACCOUNT, name), "utf8").trim();
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    namespace: choice.namespace ?? file("namespace"),
    tls: { ca: file("ca.crt"), rejectUnauthorized: true },
    authorization: () => `Bearer ${file("token")}`,
  };
}
