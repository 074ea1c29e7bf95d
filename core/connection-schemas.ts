import { z } from "zod";
import type { Account } from "./registry.ts";
import { PLATFORM_NAME } from "./stack-name.ts";
import {
  citadelKey,
  count,
  credential,
  flag,
  hostAndPort,
  httpUrl,
  listen,
  tokenSecret,
  url,
  webhookSecrets,
} from "./variable-values.ts";

const REGISTRY_CI = ["REGISTRY_CI_USERNAME", "REGISTRY_CI_PASSWORD"] as const;

const registryVariables = z
  .looseObject({
    REGISTRY_URL: httpUrl,
    REGISTRY_USERNAME: credential,
    REGISTRY_PASSWORD: credential,
    REGISTRY_CI_USERNAME: credential.optional(),
    REGISTRY_CI_PASSWORD: credential.optional(),
    REGISTRY_TOKEN_SECRET: tokenSecret.optional(),
  })
  // Without the CI account, pipelines get the administrator's. A misspelled name must not cause that.
  .refine((v) => misspelledVariables(v).length === 0, {
    path: [REGISTRY_CI.join(" and ")],
    error: ({ input }) => misspelledVariables(input as Variables).join("; "),
    when: () => true,
  });

type Variables = Readonly<Record<string, unknown>>;

function misspelledVariables(variables: Variables): string[] {
  const [set, ...more] = REGISTRY_CI.filter((name) => variables[name] !== undefined);
  // Kubernetes sets variables with this prefix for a Service named registry-ci.
  const unknown = Object.keys(variables).filter(
    (name) =>
      /^REGISTRY_CI_(?!SERVICE_|PORT)/.test(name) && !REGISTRY_CI.some((known) => known === name),
  );
  return [
    ...(set && more.length === 0
      ? [`belong to one account, but only ${set} is set: set both`]
      : []),
    ...unknown.map((name) => `are the only variables with this prefix: ${name} is unknown`),
  ];
}

function sharedAccount(v: z.output<typeof registryVariables>): Account | undefined {
  const { REGISTRY_CI_USERNAME: username, REGISTRY_CI_PASSWORD: password } = v;
  return username === undefined || password === undefined ? undefined : { username, password };
}

/** The variables of each connection, and what becomes of them. */
export const CONNECTIONS = {
  gitea: z
    .object({ GITEA_URL: httpUrl, GITEA_TOKEN: credential })
    .transform((v) => ({ url: v.GITEA_URL, token: v.GITEA_TOKEN })),
  /** The token for comments on pull requests: a token with that permission only, if there is one. */
  giteaComments: z
    .object({ GITEA_COMMENT_TOKEN: credential.optional(), GITEA_TOKEN: credential.optional() })
    .refine((v) => v.GITEA_COMMENT_TOKEN ?? v.GITEA_TOKEN, {
      path: ["GITEA_COMMENT_TOKEN"],
      error: "is missing, and so is GITEA_TOKEN",
    })
    .transform((v) => ({ token: v.GITEA_COMMENT_TOKEN ?? v.GITEA_TOKEN ?? "" })),
  /** The token for pull requests with updates of templates. It needs to write projects' repositories only. */
  giteaTemplates: z
    .object({
      GITEA_URL: httpUrl,
      GITEA_TEMPLATE_TOKEN: credential.optional(),
      GITEA_TOKEN: credential.optional(),
    })
    .refine((v) => v.GITEA_TEMPLATE_TOKEN ?? v.GITEA_TOKEN, {
      path: ["GITEA_TEMPLATE_TOKEN"],
      error: "is missing, and so is GITEA_TOKEN",
    })
    .transform((v) => ({
      url: v.GITEA_URL,
      token: v.GITEA_TEMPLATE_TOKEN ?? v.GITEA_TOKEN ?? "",
      variable: v.GITEA_TEMPLATE_TOKEN === undefined ? "GITEA_TOKEN" : "GITEA_TEMPLATE_TOKEN",
    })),
  githubComments: z
    .object({ GITHUB_TOKEN: credential })
    .transform((v) => ({ token: v.GITHUB_TOKEN })),
  woodpecker: z
    .object({ WOODPECKER_URL: httpUrl, WOODPECKER_TOKEN: credential })
    .transform((v) => ({ url: v.WOODPECKER_URL, token: v.WOODPECKER_TOKEN })),
  dns: z
    .discriminatedUnion(
      "DNS_PROVIDER",
      [
        z.object({
          DNS_PROVIDER: z.literal("powerdns"),
          POWERDNS_URL: httpUrl,
          POWERDNS_API_KEY: credential,
          POWERDNS_SERVER_ID: z.string().min(1, "is empty").default("localhost"),
        }),
        z.object({
          DNS_PROVIDER: z.literal("cloudflare"),
          CLOUDFLARE_URL: httpUrl.default("https://api.cloudflare.com/client/v4"),
          CLOUDFLARE_API_TOKEN: credential,
        }),
      ],
      'is neither "powerdns" nor "cloudflare"',
    )
    .transform((v) =>
      v.DNS_PROVIDER === "powerdns"
        ? {
            provider: v.DNS_PROVIDER,
            url: v.POWERDNS_URL,
            token: v.POWERDNS_API_KEY,
            serverId: v.POWERDNS_SERVER_ID,
          }
        : { provider: v.DNS_PROVIDER, url: v.CLOUDFLARE_URL, token: v.CLOUDFLARE_API_TOKEN },
    ),
  registry: registryVariables.transform((v) => ({
    url: v.REGISTRY_URL,
    username: v.REGISTRY_USERNAME,
    password: v.REGISTRY_PASSWORD,
    /** The account that all pipelines share; the administrator's if no other is set. */
    shared: sharedAccount(v) ?? { username: v.REGISTRY_USERNAME, password: v.REGISTRY_PASSWORD },
    hasSharedAccount: sharedAccount(v) !== undefined,
    /** Each project's own accounts are derived from this secret. */
    tokenSecret: v.REGISTRY_TOKEN_SECRET,
  })),
  /** For issuing the registry's tokens. */
  registryTokens: registryVariables
    .safeExtend({
      REGISTRY_TOKEN_SECRET: tokenSecret,
      REGISTRY_TOKEN_KEY: z.string().min(1, "is empty").optional(),
      REGISTRY_TOKEN_KEY_FILE: z.string().min(1, "is empty").optional(),
      REGISTRY_TOKEN_OLDEST_VERSION: count(1, 999_999_999).default(1),
      REGISTRY_TOKEN_LISTEN: listen.default("127.0.0.1:8081"),
    })
    .refine((v) => !v.REGISTRY_TOKEN_KEY !== !v.REGISTRY_TOKEN_KEY_FILE, {
      path: ["REGISTRY_TOKEN_KEY and REGISTRY_TOKEN_KEY_FILE"],
      error: "are both set or both missing: set one of them",
    })
    .transform((v) => ({
      url: v.REGISTRY_URL,
      admin: { username: v.REGISTRY_USERNAME, password: v.REGISTRY_PASSWORD },
      shared: sharedAccount(v),
      secret: v.REGISTRY_TOKEN_SECRET,
      key: v.REGISTRY_TOKEN_KEY,
      keyFile: v.REGISTRY_TOKEN_KEY_FILE,
      oldestVersion: v.REGISTRY_TOKEN_OLDEST_VERSION,
      ...hostAndPort(v.REGISTRY_TOKEN_LISTEN),
    })),
  postgres: z
    .object({ POSTGRES_ADMIN_URL: url("postgres:", "postgresql:") })
    .transform((v) => ({ url: v.POSTGRES_ADMIN_URL })),
  /** rdev-infra's own database. The owner creates its tables; by default the service's role does. */
  database: z
    .object({
      DATABASE_URL: url("postgres:", "postgresql:"),
      DATABASE_OWNER_URL: url("postgres:", "postgresql:").optional(),
    })
    .transform((v) => ({ url: v.DATABASE_URL, ownerUrl: v.DATABASE_OWNER_URL ?? v.DATABASE_URL })),
  /** The settings of the HTTP service. */
  service: z
    .object({
      RDEV_INFRA_PLATFORM: z
        .string("is missing")
        .regex(PLATFORM_NAME, "is not a platform's name, such as staging"),
      RDEV_INFRA_LISTEN: listen.default("127.0.0.1:8080"),
      RDEV_INFRA_CONCURRENCY: count(1, 64).optional(),
      RDEV_INFRA_KEEP_PLUGINS: flag(true),
      RDEV_INFRA_RATE_LIMIT: count(1, 10_000_000).default(6_000),
      RDEV_INFRA_TRUSTED_PROXIES: z.string().min(1, "is empty").optional(),
      RDEV_INFRA_OWN_APPROVAL: flag(true),
    })
    .transform((v) => ({
      platform: v.RDEV_INFRA_PLATFORM,
      ...hostAndPort(v.RDEV_INFRA_LISTEN),
      concurrency: v.RDEV_INFRA_CONCURRENCY,
      keepsPlugins: v.RDEV_INFRA_KEEP_PLUGINS,
      rateLimit: v.RDEV_INFRA_RATE_LIMIT,
      trustedProxies: v.RDEV_INFRA_TRUSTED_PROXIES,
      ownApproval: v.RDEV_INFRA_OWN_APPROVAL,
    })),
  /** People and service accounts as callers of the HTTP service. */
  identity: z
    .object({
      RDEV_INFRA_IDENTITY_FILE: z.string().min(1, "is empty").optional(),
      RDEV_INFRA_CLIENT_SECRET: credential.optional(),
      RDEV_INFRA_SESSION_KEY: tokenSecret.optional(),
    })
    .transform((v) => ({
      file: v.RDEV_INFRA_IDENTITY_FILE,
      clientSecret: v.RDEV_INFRA_CLIENT_SECRET,
      sessionKey: v.RDEV_INFRA_SESSION_KEY,
    })),
  /** Receivers of notifications. */
  notifications: z
    .object({
      RDEV_INFRA_NOTIFICATIONS_FILE: z.string().min(1, "is empty").optional(),
      RDEV_INFRA_WEBHOOK_SECRETS: webhookSecrets.optional(),
      SMTP_URL: url("smtp:", "smtps:").optional(),
    })
    .transform((v) => ({
      file: v.RDEV_INFRA_NOTIFICATIONS_FILE,
      secrets: v.RDEV_INFRA_WEBHOOK_SECRETS ?? new Map<string, Buffer[]>(),
      smtp: v.SMTP_URL,
    })),
  /** Previews of pull requests by the service. */
  previews: z
    .object({
      RDEV_INFRA_PREVIEWS_FILE: z.string().min(1, "is empty").optional(),
      RDEV_INFRA_FORGE_SECRET: tokenSecret.optional(),
    })
    .transform((v) => ({ file: v.RDEV_INFRA_PREVIEWS_FILE, secret: v.RDEV_INFRA_FORGE_SECRET })),
  /** The HTTP service, for its clients. */
  api: z
    .object({
      RDEV_INFRA_URL: httpUrl.default("http://127.0.0.1:8080"),
      RDEV_INFRA_KEY: credential.refine(
        (key) => key.startsWith("rdk_"),
        "does not begin with rdk_",
      ),
    })
    .transform((v) => ({ url: v.RDEV_INFRA_URL, key: v.RDEV_INFRA_KEY })),
  redis: z
    .object({ REDIS_ADMIN_URL: url("redis:", "rediss:") })
    .transform((v) => ({ url: v.REDIS_ADMIN_URL })),
  /** The variable of kubectl and Pulumi. Both use ~/.kube/config if it is not set. */
  kubernetes: z
    .object({ KUBECONFIG: z.string().min(1, "is empty").optional() })
    .transform((v) => ({ kubeconfig: v.KUBECONFIG })),
  citadel: z
    .object({
      CITADEL_URL: httpUrl,
      CITADEL_API_KEY: citadelKey,
      CITADEL_AGENT_KEY: citadelKey.optional(),
      CITADEL_TENANT_ID: z.uuid("is not a UUID").optional(),
    })
    .transform((v) => ({
      url: v.CITADEL_URL,
      apiKey: v.CITADEL_API_KEY,
      /** The key for the agent on every node. It should only permit ingest; by default it is apiKey. */
      agentKey: v.CITADEL_AGENT_KEY ?? v.CITADEL_API_KEY,
      hasAgentKey: v.CITADEL_AGENT_KEY !== undefined,
      tenantId: v.CITADEL_TENANT_ID,
    })),
  citadelWebhook: z
    .object({ CITADEL_WEBHOOK_SECRET: credential.min(16, "is shorter than 16 characters") })
    .transform((v) => ({ secret: v.CITADEL_WEBHOOK_SECRET })),
  citadelEnabled: z
    .object({ CITADEL_ENABLED: flag(true) })
    .transform((v) => ({ enabled: v.CITADEL_ENABLED })),
} as const;
