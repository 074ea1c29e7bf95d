import { Resolver } from "node:dns/promises";
import {
  AdmissionregistrationV1Api,
  CoreV1Api,
  type KubernetesObject,
  RbacAuthorizationV1Api,
} from "@kubernetes/client-node";
import { Redis } from "ioredis";
import pg from "pg";
import { PROJECT_LABEL } from "../../core/labels.ts";
import { databaseName } from "../../core/slug.ts";
import type { SystemName } from "../../core/systems.ts";
import { markPath } from "../../providers/registry/mark.ts";
import { json, kubeConfig, type ProjectOnServers, registryTags, variable } from "./project.ts";

/** Everything that the servers still have of a project, as `<system>: <object>`. Reads no state. */
export async function leftOnServers(project: ProjectOnServers): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(SEARCHES).map(async ([system, search]) =>
      (await search(project)).map((object) => `${system}: ${object}`),
    ),
  );
  return found.flat();
}

type Search = (project: ProjectOnServers) => Promise<string[]>;

const SEARCHES: Readonly<Partial<Record<SystemName, Search>>> = {
  async gitea(project) {
    const { slug, organization } = project;
    const headers = { authorization: `token ${variable(project, "GITEA_TOKEN")}` };
    const url = `${variable(project, "GITEA_URL")}/api/v1/orgs/${organization}/repos?limit=50`;
    const repositories = await json<{ name: string }[]>(url, headers);
    return repositories.filter(({ name }) => name === slug).map(({ name }) => `repository ${name}`);
  },

  async woodpecker(project) {
    const { slug, organization } = project;
    const headers = { authorization: `Bearer ${variable(project, "WOODPECKER_TOKEN")}` };
    const url = `${variable(project, "WOODPECKER_URL")}/api/repos/lookup/${organization}/${slug}`;
    return unlessRejected(json(url, headers), "answered 404", `repository ${slug}`);
  },

  async dns({ slug, domain, dns }) {
    const resolver = new Resolver();
    resolver.setServers([dns]);
    return unlessRejected(resolver.resolve4(`${slug}.${domain}`), "ENOTFOUND", `${slug}.${domain}`);
  },

  async registry(project) {
    const paths = [project.slug, markPath(project.slug)];
    const tags = paths.map(async (path) =>
      (await registryTags(project, path)).map((tag) => `${path}:${tag}`),
    );
    return (await Promise.all(tags)).flat();
  },

  async postgres(project) {
    const client = new pg.Client({ connectionString: variable(project, "POSTGRES_ADMIN_URL") });
    await client.connect();
    try {
      const { rows } = await client.query<{ object: string }>(
        `SELECT 'role ' || rolname AS object FROM pg_roles WHERE rolname = $1
         UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datname = $1`,
        [databaseName(project.slug)],
      );
      return rows.map(({ object }) => object);
    } finally {
      await client.end();
    }
  },

  async redis(project) {
    const redis = new Redis(variable(project, "REDIS_ADMIN_URL"), { lazyConnect: true });
    try {
      await redis.connect();
      const users = (await redis.call("ACL", "USERS")) as string[];
      const keys = await redis.keys(`${project.slug}:*`);
      return [
        ...users.filter((user) => user === project.slug).map((user) => `user ${user}`),
        ...keys.map((key) => `key ${key}`),
      ];
    } finally {
      redis.disconnect();
    }
  },

  async kubernetes(project) {
    const config = kubeConfig(project);
    const { items } = await config.makeApiClient(CoreV1Api).listNamespace();
    const rbac = config.makeApiClient(RbacAuthorizationV1Api);
    const admission = config.makeApiClient(AdmissionregistrationV1Api);
    const marked = { labelSelector: `${PROJECT_LABEL}=${project.slug}` };
    const clusterScoped = await Promise.all([
      rbac.listClusterRole(marked),
      rbac.listClusterRoleBinding(marked),
      admission.listValidatingAdmissionPolicy(marked),
      admission.listValidatingAdmissionPolicyBinding(marked),
    ]);
    return [
      ...items
        .filter(({ metadata }) => metadata?.name === project.slug)
        .map(({ metadata }) => `namespace ${metadata?.name}`),
      ...clusterScoped
        .flatMap((list): KubernetesObject[] => list.items)
        .map(({ metadata }) => `cluster-scoped ${metadata?.name}`),
    ];
  },

  async citadel(project) {
    const headers = { authorization: `Bearer ${variable(project, "CITADEL_API_KEY")}` };
    const url = `${variable(project, "CITADEL_URL")}/api/v1/tenants?slug=${project.slug}`;
    const { tenants } = await json<{ tenants: { id: string }[] }>(url, headers);
    return tenants.map(({ id }) => `tenant ${id}`);
  },
};

/** The systems that `leftOnServers` searches. */
export const SEARCHED_SYSTEMS: readonly string[] = Object.keys(SEARCHES);

/** No object if the call rejects with this text in its message. */
async function unlessRejected(
  call: Promise<unknown>,
  text: string,
  object: string,
): Promise<string[]> {
  try {
    await call;
    return [object];
  } catch (error) {
    if ((error as Error).message.includes(text)) return [];
    throw error;
  }
}
