import type { ConnectionName } from "./connections.ts";

/** An environment variable of a system. */
interface Variable {
  /** Its value, or the password in its URL, is taken out of every error and log. */
  readonly isSecret?: true;
  /** Workers do not get it, and neither do the engine, its plugins and the project program. */
  readonly isServiceOnly?: true;
}

/** What rdev-infra has to know of an external system. */
interface System {
  /** The names of its connections in core/connections.ts. */
  readonly connections: readonly ConnectionName[];
  /** Every variable that those connections read. */
  readonly variables: Readonly<Record<string, Variable>>;
  /** Its dynamic resources: the module below `providers/`, and the type. States name both. */
  readonly resources: Readonly<Record<string, string>>;
  /** Whether it holds objects of projects. Then it needs a leftover probe. */
  readonly holdsProjects: boolean;
}

/**
 * Every external system. This list is the place to start when a system is added:
 * tests/systems.test.ts compares it with the rest of the tree and names most of what is missing.
 * CONTRIBUTING.md has the whole recipe.
 *
 * The order is the order of a leftover report.
 */
export const SYSTEMS = {
  gitea: {
    connections: ["gitea", "giteaComments", "giteaTemplates"],
    variables: {
      GITEA_URL: {},
      GITEA_TOKEN: { isSecret: true },
      GITEA_COMMENT_TOKEN: { isSecret: true },
      GITEA_TEMPLATE_TOKEN: { isSecret: true, isServiceOnly: true },
    },
    resources: { "gitea/repository": "gitea:Repository" },
    holdsProjects: true,
  },
  woodpecker: {
    connections: ["woodpecker"],
    variables: { WOODPECKER_URL: {}, WOODPECKER_TOKEN: { isSecret: true } },
    resources: {
      "woodpecker/pipeline": "woodpecker:Pipeline",
      "woodpecker/registry-credentials": "woodpecker:RegistryCredentials",
      "woodpecker/repository": "woodpecker:Repository",
      "woodpecker/secret": "woodpecker:Secret",
    },
    holdsProjects: true,
  },
  dns: {
    connections: ["dns"],
    variables: {
      DNS_PROVIDER: {},
      POWERDNS_URL: {},
      POWERDNS_API_KEY: { isSecret: true },
      POWERDNS_SERVER_ID: {},
      CLOUDFLARE_URL: {},
      CLOUDFLARE_API_TOKEN: { isSecret: true },
    },
    resources: { "dns/record": "dns:Record" },
    holdsProjects: true,
  },
  registry: {
    connections: ["registry", "registryTokens"],
    variables: {
      REGISTRY_URL: {},
      REGISTRY_USERNAME: {},
      REGISTRY_PASSWORD: { isSecret: true },
      REGISTRY_CI_USERNAME: {},
      REGISTRY_CI_PASSWORD: { isSecret: true },
      REGISTRY_TOKEN_SECRET: { isSecret: true },
      REGISTRY_TOKEN_KEY: { isSecret: true, isServiceOnly: true },
      REGISTRY_TOKEN_KEY_FILE: { isServiceOnly: true },
      REGISTRY_TOKEN_OLDEST_VERSION: {},
      REGISTRY_TOKEN_LISTEN: {},
    },
    resources: { "registry/repository": "registry:Repository" },
    holdsProjects: true,
  },
  postgres: {
    connections: ["postgres"],
    variables: { POSTGRES_ADMIN_URL: { isSecret: true } },
    resources: { "postgres/database": "postgres:Database" },
    holdsProjects: true,
  },
  redis: {
    connections: ["redis"],
    variables: { REDIS_ADMIN_URL: { isSecret: true } },
    resources: { "redis/user": "redis:User" },
    holdsProjects: true,
  },
  kubernetes: {
    connections: ["kubernetes"],
    variables: { KUBECONFIG: {} },
    resources: {
      "kubernetes/cluster-claim": "kubernetes:ClusterClaim",
      "kubernetes/foreign-fields": "kubernetes:ForeignFields",
      "kubernetes/namespace": "kubernetes:Namespace",
      "kubernetes/running-image": "kubernetes:RunningImage",
    },
    holdsProjects: true,
  },
  citadel: {
    connections: ["citadel", "citadelEnabled", "citadelWebhook"],
    variables: {
      CITADEL_ENABLED: {},
      CITADEL_URL: {},
      CITADEL_API_KEY: { isSecret: true },
      CITADEL_AGENT_KEY: { isSecret: true },
      CITADEL_TENANT_ID: {},
      CITADEL_WEBHOOK_SECRET: { isSecret: true },
    },
    resources: {
      "citadel/environment": "citadel:Environment",
      "citadel/group": "citadel:Group",
      "citadel/webhook": "citadel:Webhook",
    },
    holdsProjects: true,
  },
  /** Comments on pull requests only. */
  github: {
    connections: ["githubComments"],
    variables: { GITHUB_TOKEN: { isSecret: true, isServiceOnly: true } },
    resources: {},
    holdsProjects: false,
  },
} as const satisfies Readonly<Record<string, System>>;

export type SystemName = keyof typeof SYSTEMS;

/** The connections of rdev-infra itself: its database, its service, and the service's callers. */
export const OWN_CONNECTIONS = [
  "database",
  "service",
  "identity",
  "notifications",
  "previews",
  "api",
] as const satisfies ConnectionName[];

/** The systems that may hold something of a project, so a destroy has to ask each of them. */
export function systemsWithProjects(): SystemName[] {
  const all: readonly (readonly [string, System])[] = Object.entries(SYSTEMS);
  return all.filter(([, { holdsProjects }]) => holdsProjects).map(([name]) => name as SystemName);
}
