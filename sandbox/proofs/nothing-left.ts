import { Resolver } from "node:dns/promises";
import {
  AdmissionregistrationV1Api,
  CoreV1Api,
  RbacAuthorizationV1Api,
} from "@kubernetes/client-node";
import { Redis } from "ioredis";
import pg from "pg";
import { PROJECT_LABEL } from "../../core/labels.ts";
import { databaseName } from "../../core/slug.ts";
import { markPath } from "../../providers/registry/mark.ts";
import { registryTags } from "./registry.ts";
import { json, kubeConfig, type Stage, variable } from "./stage.ts";

type Place = Omit<Stage, "tenantId" | "name">;

/** What a project has left, by system: the servers are asked, not the state. Empty is good. */
export async function leftovers(place: Place): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(LOOKS).map(async ([system, look]) =>
      (await look(place)).map((what) => `${system}: ${what}`),
    ),
  );
  return found.flat();
}

/** The systems that `leftovers` asks. */
export function systemsAsked(): string[] {
  return Object.keys(LOOKS);
}

const LOOKS: Readonly<Record<string, (place: Place) => Promise<string[]>>> = {
  async Gitea(place) {
    const { slug, organization } = place;
    const headers = { authorization: `token ${variable(place, "GITEA_TOKEN")}` };
    const url = `${variable(place, "GITEA_URL")}/api/v1/orgs/${organization}/repos?limit=50`;
    const repositories = await json<{ name: string }[]>(url, headers);
    return repositories.filter(({ name }) => name === slug).map(({ name }) => `repository ${name}`);
  },

  async Woodpecker(place) {
    const { slug, organization } = place;
    const headers = { authorization: `Bearer ${variable(place, "WOODPECKER_TOKEN")}` };
    const url = `${variable(place, "WOODPECKER_URL")}/api/repos/lookup/${organization}/${slug}`;
    return gone(json(url, headers), "answered 404", `repository ${slug}`);
  },

  async DNS({ slug, domain, dns }) {
    const resolver = new Resolver();
    resolver.setServers([dns]);
    return gone(resolver.resolve4(`${slug}.${domain}`), "ENOTFOUND", `${slug}.${domain}`);
  },

  async registry(place) {
    const paths = [place.slug, markPath(place.slug)];
    const tags = paths.map(async (path) =>
      (await registryTags(place, path)).map((tag) => `${path}:${tag}`),
    );
    return (await Promise.all(tags)).flat();
  },

  async PostgreSQL(place) {
    const client = new pg.Client({ connectionString: variable(place, "POSTGRES_ADMIN_URL") });
    await client.connect();
    try {
      const { rows } = await client.query<{ what: string }>(
        `SELECT 'role ' || rolname AS what FROM pg_roles WHERE rolname = $1
         UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datname = $1`,
        [databaseName(place.slug)],
      );
      return rows.map(({ what }) => what);
    } finally {
      await client.end();
    }
  },

  async Redis(place) {
    const redis = new Redis(variable(place, "REDIS_ADMIN_URL"), { lazyConnect: true });
    try {
      await redis.connect();
      const users = (await redis.call("ACL", "USERS")) as string[];
      const keys = await redis.keys(`${place.slug}:*`);
      return [
        ...users.filter((user) => user === place.slug).map((user) => `user ${user}`),
        ...keys.map((key) => `key ${key}`),
      ];
    } finally {
      redis.disconnect();
    }
  },

  async Kubernetes(place) {
    const config = kubeConfig(place);
    const { items } = await config.makeApiClient(CoreV1Api).listNamespace();
    const rbac = config.makeApiClient(RbacAuthorizationV1Api);
    const admission = config.makeApiClient(AdmissionregistrationV1Api);
    const marked = { labelSelector: `${PROJECT_LABEL}=${place.slug}` };
    const clusterWide = await Promise.all([
      rbac.listClusterRole(marked),
      rbac.listClusterRoleBinding(marked),
      admission.listValidatingAdmissionPolicy(marked),
      admission.listValidatingAdmissionPolicyBinding(marked),
    ]);
    return [
      ...items
        .filter(({ metadata }) => metadata?.name === place.slug)
        .map(({ metadata }) => `namespace ${metadata?.name}`),
      ...clusterWide
        .flatMap((list) => list.items)
        .map(({ metadata }) => `${metadata?.name} of the cluster`),
    ];
  },

  async Citadel(place) {
    const headers = { authorization: `Bearer ${variable(place, "CITADEL_API_KEY")}` };
    const url = `${variable(place, "CITADEL_URL")}/api/v1/tenants?slug=${place.slug}`;
    const { tenants } = await json<{ tenants: { id: string }[] }>(url, headers);
    return tenants.map(({ id }) => `tenant ${id}`);
  },
};

/** Empty when the look fails with that word. */
async function gone(look: Promise<unknown>, word: string, what: string): Promise<string[]> {
  try {
    await look;
    return [what];
  } catch (error) {
    if ((error as Error).message.includes(word)) return [];
    throw error;
  }
}
