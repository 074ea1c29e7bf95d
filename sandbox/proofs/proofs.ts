/** Proofs that a project works, taken from the servers themselves and not from the engine's state. */
import { Resolver } from "node:dns/promises";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, NetworkingV1Api } from "@kubernetes/client-node";
import { execa } from "execa";
import { Redis } from "ioredis";
import pRetry from "p-retry";
import pg from "pg";
import { ENVIRONMENT_LABEL, SERVICE_LABEL } from "../../core/labels.ts";
import { databaseName } from "../../core/slug.ts";
import { MARK, markPath } from "../../providers/registry/mark.ts";
import {
  applicationEnvironment,
  type DeployedProject,
  json,
  kubeConfig,
  registryTags,
  variable,
} from "./project.ts";

/** What a proof found, one line each. A proof throws if it does not find what it must. */
export type Evidence = readonly string[];

/** By system. The proofs of PostgreSQL and Redis need a neighbour: another project of this slug. */
export const PROOFS: readonly (readonly [
  system: string,
  prove: (project: DeployedProject, neighbour: string) => Promise<Evidence>,
])[] = [
  ["Gitea", proveGit],
  ["DNS", proveDns],
  ["PostgreSQL", provePostgres],
  ["Redis", proveRedis],
  ["Kubernetes", proveKubernetes],
  ["Woodpecker", proveWoodpecker],
  ["registry", proveRegistry],
  ["Citadel", proveCitadel],
];

/** Clones the repository and checks the rendered template. */
export async function proveGit(project: DeployedProject): Promise<Evidence> {
  const { slug, organization, tenantId, name } = project;
  const url = `${variable(project, "GITEA_URL")}/${organization}/${slug}.git`;
  const folder = await mkdtemp(join(tmpdir(), "rdev-proof-"));
  try {
    await execa("git", ["clone", "--quiet", url, "."], {
      cwd: folder,
      env: {
        GIT_TERMINAL_PROMPT: "0",
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: "http.extraHeader",
        GIT_CONFIG_VALUE_0: `Authorization: token ${variable(project, "GITEA_TOKEN")}`,
      },
    });
    const read = (path: string) => readFile(join(folder, path), "utf8");
    const files = await readdir(folder);
    const [readme, manifest, pipeline] = await Promise.all([
      read("README.md"),
      read("k8s/deployment.yaml"),
      read(".woodpecker.yml"),
    ]);
    expect(readme.startsWith(`# ${name}\n`), "the README has the project's name");
    const label = `citadel.io/environment: "${tenantId}"`;
    expect(manifest.includes(label), "the manifest has the environment's label");
    expect(pipeline.includes(`deployment/${slug}`), "the pipeline deploys the project");
    const { stdout: log } = await execa("git", ["log", "--format=%s"], { cwd: folder });
    expect(log.split("\n").length === 1, "there is one commit");
    return [
      `cloned: ${files.filter((file) => file !== ".git").join(" ")}`,
      `one commit: "${log}"; README.md begins with "# ${name}"`,
      `k8s/deployment.yaml: ${label}`,
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves the project's name. */
export async function proveDns({ slug, domain, dns }: DeployedProject): Promise<Evidence> {
  const resolver = new Resolver();
  resolver.setServers([dns]);
  const addresses = await resolver.resolve4(`${slug}.${domain}`);
  expect(addresses.length === 1, "the name has one address");
  return [`${slug}.${domain} is ${addresses[0]}`];
}

/** Writes and reads as the project's role, which must not connect to the neighbour's database. */
async function provePostgres(project: DeployedProject, neighbour: string): Promise<Evidence> {
  const url = (await applicationEnvironment(project))["DATABASE_URL"] ?? "";
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("CREATE TABLE proof (text text)");
    await client.query("INSERT INTO proof VALUES ('hello')");
    const { rows } = await client.query<{ text: string; role: string }>(
      "SELECT text, current_user AS role FROM proof",
    );
    expect(rows[0]?.text === "hello", "a written row is read back");
    await client.query("DROP TABLE proof");
    const neighbourUrl = new URL(url);
    neighbourUrl.pathname = `/${databaseName(neighbour)}`;
    const other = new pg.Client({ connectionString: neighbourUrl.href });
    const error = await refusal(other.connect(), "the neighbour's database");
    return [`as role ${rows[0].role}: wrote and read a row`, `the neighbour's database: ${error}`];
  } finally {
    await client.end();
  }
}

/** Writes and reads as the project's user, which must not read keys of the neighbour's prefix. */
async function proveRedis(project: DeployedProject, neighbour: string): Promise<Evidence> {
  const url = (await applicationEnvironment(project))["REDIS_URL"] ?? "";
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    // The ready check sends INFO, which the user may not.
    enableReadyCheck: false,
  });
  try {
    await redis.connect();
    const key = `${project.slug}:proof`;
    await redis.set(key, "hello");
    expect((await redis.get(key)) === "hello", "a written key is read back");
    const error = await refusal(redis.get(`${neighbour}:proof`), "another prefix");
    return [`as user ${project.slug}: set and got ${key}`, `${neighbour}:proof: ${error}`];
  } finally {
    redis.disconnect();
  }
}

/** Checks the project's objects and their labels. */
async function proveKubernetes(project: DeployedProject): Promise<Evidence> {
  const { slug: namespace, tenantId } = project;
  const config = kubeConfig(project);
  const core = config.makeApiClient(CoreV1Api);
  const [deployment, pods, services, ingresses, quotas] = await Promise.all([
    config.makeApiClient(AppsV1Api).readNamespacedDeployment({ name: namespace, namespace }),
    core.listNamespacedPod({ namespace }),
    core.listNamespacedService({ namespace }),
    config.makeApiClient(NetworkingV1Api).listNamespacedIngress({ namespace }),
    core.listNamespacedResourceQuota({ namespace }),
  ]);
  const { spec, status } = deployment;
  const labels = spec?.template.metadata?.labels ?? {};
  expect(labels[ENVIRONMENT_LABEL] === tenantId, "the pods carry the environment's label");
  expect(labels[SERVICE_LABEL] === namespace, "the pods carry the service's label");
  expect(status?.availableReplicas === spec?.replicas, "all pods run");
  expect(pods.items.length > 0, "there is a pod");
  expect(services.items.length === 1 && quotas.items.length === 1, "Service and quota exist");
  const host = ingresses.items[0]?.spec?.rules?.[0]?.host;
  expect(host === `${namespace}.${project.domain}`, "the Ingress serves the project's host");
  const replicas = `${status?.availableReplicas} of ${spec?.replicas} pods`;
  return [
    `Deployment ${namespace}: ${replicas}, Service, Ingress ${host}`,
    `labels of its pods: ${SERVICE_LABEL}=${namespace} ${ENVIRONMENT_LABEL}=${tenantId}`,
  ];
}

/** Checks that the repository is active, with its secrets and a first pipeline. */
export async function proveWoodpecker(project: DeployedProject): Promise<Evidence> {
  const { organization, slug } = project;
  const url = variable(project, "WOODPECKER_URL");
  const headers = { authorization: `Bearer ${variable(project, "WOODPECKER_TOKEN")}` };
  const get = <T>(path: string) => json<T>(`${url}/api/repos/${path}`, headers);
  const repository = await get<{ id: number; active: boolean }>(`lookup/${organization}/${slug}`);
  const [secrets, pipelines] = await Promise.all([
    get<{ name: string }[]>(`${repository.id}/secrets`),
    get<{ number: number; status: string }[]>(`${repository.id}/pipelines`),
  ]);
  const names = secrets.map(({ name }) => name).sort();
  expect(repository.active, "the repository is active");
  expect(
    names.join(" ") === "kube_ca kube_token registry_password registry_username",
    `its secrets are set (${names.join(" ")})`,
  );
  expect(pipelines.length === 1, `one pipeline was triggered (${pipelines.length})`);
  return [
    `${organization}/${slug} is active; secrets ${names.join(" ")}`,
    `pipeline #${pipelines[0]?.number} is ${pipelines[0]?.status}`,
  ];
}

/** Checks the ownership mark, which is in a path that no pipeline can write to. */
async function proveRegistry(project: DeployedProject): Promise<Evidence> {
  const path = markPath(project.slug);
  expect((await registryTags(project, path)).includes(MARK), "the path carries the mark");
  return [`${path}: tag ${MARK}`];
}

/** Sends a log line to the project's tenant, as the agent does, and queries for it. */
async function proveCitadel(project: DeployedProject): Promise<Evidence> {
  const { tenantId, slug } = project;
  const url = `${variable(project, "CITADEL_URL")}/api/v1`;
  const admin = { authorization: `Bearer ${variable(project, "CITADEL_API_KEY")}` };
  const agent = { authorization: `Bearer ${variable(project, "CITADEL_AGENT_KEY")}` };
  const group = await json<{ tenants: string[] }>(`${url}/tenant-groups/projects`, admin);
  expect(group.tenants.includes(tenantId), "the tenant is a member of the group projects");

  const message = `hello from ${slug}`;
  const event = {
    message,
    level: "error",
    timestamp: new Date().toISOString(),
    service: slug,
    environment: slug,
    target: "stdout",
    fields: { component: "proof" },
  };
  const post = { method: "POST", status: 202, body: [event] };
  await json(`${url}/ingest`, { ...agent, "x-tenant-id": tenantId }, post);
  const cpl = "level:error component:proof";
  const query = `${url}/query?q=${encodeURIComponent(cpl)}&range=1h`;
  const find = async () => {
    const { entries } = await json<{ entries: { message: string }[] }>(query, {
      ...admin,
      "x-tenant-id": tenantId,
    });
    expect(
      entries.some((entry) => entry.message === message),
      "a query finds the line",
    );
  };
  await pRetry(find, { retries: 100, factor: 1, minTimeout: 100, maxRetryTime: 10_000 });
  return [`tenant ${tenantId} in group projects`, `"${cpl}" finds "${message}"`];
}

export function expect(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new Error(`Not true: ${sentence}`);
}

/** The message of the error that a promise rejects with. Throws if it resolves. */
export async function refusal(promise: Promise<unknown>, subject: string): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`Not refused: ${subject}`);
}
