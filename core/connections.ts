import { z } from "zod";
import { isLoopback } from "./address.ts";
import { type InfraError, problems } from "./errors.ts";
import { PLATFORM_NAME } from "./stack-name.ts";

/**
 * The URL and the credentials of each system. They come from environment variables only: Pulumi
 * copies a resource's inputs and the config into the state, and a destroy would then use the
 * credentials of the last `up`.
 *
 * This is the only module of the product that reads process.env.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

const url = (...protocols: string[]) =>
  z.string("is missing").check((context) => {
    const protocol = URL.canParse(context.value) ? new URL(context.value).protocol : "";
    if (!protocols.includes(protocol)) {
      // The message does not repeat the value, because it may contain a password.
      const message = `is not a URL that begins with ${protocols.map((p) => `${p}//`).join(" or ")}`;
      context.issues.push({ code: "custom", message, input: context.value });
    }
  });

const httpUrl = url("http:", "https:").transform((text) => text.replace(/\/+$/, ""));

const credential = z
  .string("is missing")
  .min(1, "is empty")
  // A line break would end a header early. It is always a copy-and-paste mistake.
  .regex(/^[\x21-\x7e]*$/, "contains white space, a line break or a character outside ASCII");

const flag = (fallback: boolean) =>
  z
    .enum(["true", "false"], 'is neither "true" nor "false"')
    .optional()
    .transform((text) => (text === undefined ? fallback : text === "true"));

const count = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "is not a whole number")
    .transform(Number)
    .refine((n) => n >= min && n <= max, `is not between ${min} and ${max}`);

const listen = z
  .string()
  .regex(
    /^(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/i,
    "is not an address with a port, such as 127.0.0.1:8080",
  );

function hostAndPort(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(text.slice(colon + 1)) };
}

const tokenSecret = credential.min(32, "is shorter than 32 characters");

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
    error: ({ input }) => misspelledVariables(input as Environment).join("; "),
    when: () => true,
  });

function misspelledVariables(variables: Readonly<Record<string, unknown>>): string[] {
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

type Account = Readonly<Record<"username" | "password", string>>;

function sharedAccount(v: z.output<typeof registryVariables>): Account | undefined {
  const { REGISTRY_CI_USERNAME: username, REGISTRY_CI_PASSWORD: password } = v;
  return username === undefined || password === undefined ? undefined : { username, password };
}

const citadelKey = credential.refine((key) => key.startsWith("ck_"), "does not begin with ck_");

/**
 * The secrets of webhooks by their names, as JSON: {"ops": "whsec_…"}. Several secrets of one are
 * separated by a space. Standard Webhooks wants 24 to 64 bytes in base64.
 */
const webhookSecrets = z
  .string()
  .transform((text, context) => {
    const parsed = z.record(z.string(), z.string()).safeParse(jsonIn(text));
    if (parsed.success) return parsed.data;
    context.issues.push({
      code: "custom",
      message: 'is not JSON such as {"ops": "whsec_…"}',
      input: "", // the value is a secret
    });
    return z.NEVER;
  })
  .transform((secrets, context) => {
    const entries = Object.entries(secrets).map(([name, text]) => {
      const keys = text.split(" ").map((each) => {
        return Buffer.from(each.startsWith("whsec_") ? each.slice(6) : "", "base64");
      });
      if (keys.some(({ length }) => length < 24 || length > 64)) {
        const message = `: "${name}" is not whsec_ and 24 to 64 bytes in base64`;
        context.issues.push({ code: "custom", message, input: "" });
      }
      return [name, keys] as const;
    });
    return Object.fromEntries(entries);
  });

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const CONNECTIONS = {
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
      secrets: v.RDEV_INFRA_WEBHOOK_SECRETS ?? {},
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

export type ConnectionName = keyof typeof CONNECTIONS;
export type Connection<N extends ConnectionName> = Readonly<z.output<(typeof CONNECTIONS)[N]>>;

/**
 * The connections with these names. Throws one RDEV_CONNECTION that names every variable that is
 * missing, empty or malformed, but never a value.
 */
export function connections<N extends ConnectionName>(
  names: readonly N[],
  environment: Environment = process.env,
): { readonly [K in N]: Connection<K> } {
  const mistakes = names.flatMap((name) => connectionMistakes(name, environment));
  if (mistakes.length > 0) throw variablesError(mistakes);
  const found = names.map((name) => [name, Object.freeze(CONNECTIONS[name].parse(environment))]);
  return Object.freeze(Object.fromEntries(found)) as { readonly [K in N]: Connection<K> };
}

/** Returns the problems of a connection's variables; empty if there are none. Contains no value. */
export function connectionMistakes(name: ConnectionName, environment: Environment): string[] {
  const { issues } = CONNECTIONS[name].safeParse(environment).error ?? { issues: [] };
  return issues.map(({ path, message }) => `${path.join(".")} ${message}`);
}

export function variablesError(mistakes: readonly string[]): InfraError {
  return problems(
    "RDEV_CONNECTION",
    "Environment variables are missing or malformed (docs/reference.md lists all of them):",
    mistakes,
  );
}

/** One connection. Throws like `connections`. */
export function connection<N extends ConnectionName>(
  name: N,
  environment?: Environment,
): Connection<N> {
  return connections([name], environment)[name];
}

/** Whether DATABASE_URL is set. Without it, the CLI does not record its operations. */
export function hasDatabase(environment: Environment = process.env): boolean {
  return environment["DATABASE_URL"] !== undefined;
}

/** Whether Citadel is in use. Unlike `connection("citadelEnabled")`, this never throws. */
export function isCitadelEnabled(environment: Environment = process.env): boolean {
  return environment["CITADEL_ENABLED"] !== "false";
}

/** Pulumi's own variables. An empty variable counts as not set, as in Pulumi itself. */
export function pulumiVariables(environment: Environment = process.env) {
  return {
    home: environment["PULUMI_HOME"] || undefined,
    backend: environment["PULUMI_BACKEND_URL"] || undefined,
    credentialsPath: environment["PULUMI_CREDENTIALS_PATH"] || undefined,
    hasPassphrase:
      (environment["PULUMI_CONFIG_PASSPHRASE"] ?? environment["PULUMI_CONFIG_PASSPHRASE_FILE"]) !==
      undefined,
  };
}

/** The folders for the embedded PostgreSQL's data: our own setting, and the desktop's default. */
export function dataFolders(environment: Environment = process.env) {
  return { own: environment["RDEV_INFRA_DATA"] || undefined, xdg: environment["XDG_DATA_HOME"] };
}

/** The file with the event that started a GitHub workflow. */
export function githubEventFile(environment: Environment = process.env): string | undefined {
  return environment["GITHUB_EVENT_PATH"] || undefined;
}

/**
 * This process's whole environment. Use it only for the environment of a child process, and for
 * functions that parse variables themselves.
 */
export function processEnvironment(): Environment {
  return process.env;
}

/**
 * The databases of rdev-infra itself and of Pulumi's backend that are on the same server as the one
 * at `url`, as far as the variables say.
 */
export function ownDatabases(url: string, environment: Environment = process.env): string[] {
  const server = serverOf(new URL(url));
  return ["DATABASE_URL", "DATABASE_OWNER_URL", "PULUMI_BACKEND_URL"].flatMap((name) => {
    const value = environment[name];
    if (!value || !URL.canParse(value)) return [];
    const found = new URL(value);
    if (!/^postgres(ql)?:$/.test(found.protocol) || serverOf(found) !== server) return [];
    return [decodeURIComponent(found.pathname.slice(1)) || decodeURIComponent(found.username)];
  });
}

/** Host and port. All names of this machine count as localhost. */
function serverOf({ hostname, port }: URL): string {
  return `${isLoopback(hostname) ? "localhost" : hostname.toLowerCase()}:${port || "5432"}`;
}

/** Whether the key for signing the registry's tokens is set. */
export function issuesRegistryTokens(environment: Environment = process.env): boolean {
  return ["REGISTRY_TOKEN_KEY", "REGISTRY_TOKEN_KEY_FILE"].some(
    (name) => environment[name] !== undefined,
  );
}

/** Credentials of Pulumi's backends and keys that no ending of their names tells. */
const CLOUD_CREDENTIALS = [
  "AWS_ACCESS_KEY_ID",
  "AZURE_STORAGE_CONNECTION_STRING",
  "GOOGLE_CREDENTIALS",
];

/** Every secret among the variables, for redacting text from outside. */
export function connectionSecrets(environment: Environment = process.env): string[] {
  return Object.entries(environment).flatMap(([name, value]) => {
    if (!value) return [];
    if (/_(TOKEN|KEY|SECRET|PASSWORD|PASSPHRASE)$/.test(name)) return [value];
    if (CLOUD_CREDENTIALS.includes(name)) return [value];
    if (/_SECRETS$/.test(name)) return [value, ...(value.match(/whsec_[^"\s]+/g) ?? [])];
    if (/_URL$/.test(name) && URL.canParse(value)) {
      const password = new URL(value).password;
      return password ? [password, decodeURIComponent(password)] : [];
    }
    return [];
  });
}
