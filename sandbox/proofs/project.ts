import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { request } from "undici";
import { ADMINISTRATOR, NegotiatedAuthorization } from "../../providers/registry/authorization.ts";
import { Registry } from "../../providers/registry/client.ts";

/** A project, and how to reach the servers it is on. */
export interface ProjectOnServers {
  readonly slug: string;
  readonly organization: string;
  readonly domain: string;
  /** `host:port` of the DNS server. */
  readonly dns: string;
  /** The sandbox's variables. */
  readonly env: Readonly<Record<string, string>>;
}

/** A project that is up. */
export interface DeployedProject extends ProjectOnServers {
  readonly name: string;
  readonly tenantId: string;
}

type Variables = Pick<ProjectOnServers, "env">;

export function variable({ env }: Variables, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name} is not among the sandbox's variables`);
  return value;
}

export interface JsonRequest {
  /** @default "GET" */
  readonly method?: string;
  /** The expected status. @default 200 */
  readonly status?: number;
  readonly body?: unknown;
}

/** The JSON answer of an API. Throws for any other status than the expected one. */
export async function json<T>(
  url: string,
  headers: Record<string, string>,
  { method = "GET", status = 200, body }: JsonRequest = {},
): Promise<T> {
  const answer = await request(url, {
    method: method as "GET",
    headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.body.text();
  if (answer.statusCode !== status) {
    throw new Error(`${method} ${new URL(url).pathname} answered ${answer.statusCode}: ${text}`);
  }
  return (text ? JSON.parse(text) : undefined) as T;
}

export function kubeConfig(project: Variables): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(variable(project, "KUBECONFIG"));
  return config;
}

/** The tags in a path of the registry; none if the path does not exist. */
export function registryTags(project: Variables, path: string): Promise<string[]> {
  const url = variable(project, "REGISTRY_URL");
  const username = variable(project, "REGISTRY_USERNAME");
  const password = variable(project, "REGISTRY_PASSWORD");
  const authorization = new NegotiatedAuthorization({ url, username, password }, ADMINISTRATOR);
  const options = { url, authorization, credential: ADMINISTRATOR, secrets: [password] };
  return new Registry(options).tags(path);
}

/** The labels that bind a workload's pods to their environment. */
export async function citadelLabelsOf(
  project: Variables,
  { namespace, name, kind }: { namespace: string; name: string; kind: string },
): Promise<Record<string, string>> {
  const apps = kubeConfig(project).makeApiClient(AppsV1Api);
  const workload =
    kind === "StatefulSet"
      ? await apps.readNamespacedStatefulSet({ namespace, name })
      : await apps.readNamespacedDeployment({ namespace, name });
  const labels = workload.spec?.template.metadata?.labels ?? {};
  return Object.fromEntries(
    Object.entries(labels).filter(([label]) => label.startsWith("citadel.io/")),
  );
}

/** The environment variables that the project's process gets from the Secret of its Deployment. */
export async function applicationEnvironment(
  project: ProjectOnServers,
): Promise<Record<string, string>> {
  const { slug: namespace } = project;
  const config = kubeConfig(project);
  const deployment = await config
    .makeApiClient(AppsV1Api)
    .readNamespacedDeployment({ name: namespace, namespace });
  const name = deployment.spec?.template.spec?.containers[0]?.envFrom?.[0]?.secretRef?.name ?? "";
  const secret = await config.makeApiClient(CoreV1Api).readNamespacedSecret({ name, namespace });
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]),
  );
}
