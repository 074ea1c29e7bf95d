import { isLoopback } from "./address.ts";
import {
  connection,
  type ConnectionName,
  connectionMistakes,
  type Environment,
  isCitadelEnabled,
  issuesRegistryTokens,
  processEnvironment,
  variablesError,
} from "./connections.ts";
import { notificationSettings, secretMistakes } from "./receivers.ts";
import type { Account } from "./registry.ts";
import type { ServiceSettings } from "./service-settings.ts";
import { SYSTEMS } from "./systems.ts";

/** Variables of systems that the service does not need, or that name a file or an address of this machine. */
const NOT_FOR_PODS: readonly string[] = [
  "GITEA_COMMENT_TOKEN",
  "GITHUB_TOKEN",
  "KUBECONFIG",
  "REGISTRY_TOKEN_KEY_FILE",
  "REGISTRY_TOKEN_LISTEN",
];

/** The variables that the service in the cluster gets, if they are set. */
const SERVICE_VARIABLES: readonly string[] = [
  ...Object.values(SYSTEMS)
    .flatMap(({ variables }) => Object.keys(variables))
    .filter((name) => !NOT_FOR_PODS.includes(name)),
  "DATABASE_URL",
  "RDEV_INFRA_CLIENT_SECRET",
  "RDEV_INFRA_WEBHOOK_SECRETS",
  "SMTP_URL",
  "RDEV_INFRA_SESSION_KEY",
  "RDEV_INFRA_RATE_LIMIT",
  // Pulumi's backend, and the credentials of one in a bucket or of a key that encrypts secrets.
  "PULUMI_BACKEND_URL",
  "PULUMI_CONFIG_PASSPHRASE",
  "PULUMI_ACCESS_TOKEN",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_REGION",
  "AZURE_STORAGE_ACCOUNT",
  "AZURE_STORAGE_KEY",
  "AZURE_TENANT_ID",
  "AZURE_CLIENT_ID",
  "AZURE_CLIENT_SECRET",
  "GOOGLE_CREDENTIALS",
  "VAULT_SERVER_URL",
  "VAULT_SERVER_TOKEN",
];

/** `RDEV_INFRA_SERVICE_DATABASE_URL` takes the place of `DATABASE_URL`, where pods need another address. */
const FOR_PODS = "RDEV_INFRA_SERVICE_";

/** Only for the migration. */
const OWNER = "DATABASE_OWNER_URL";

/** Only for the nodes, which pull the service's image with it. */
const PULL = ["RDEV_INFRA_PULL_USERNAME", "RDEV_INFRA_PULL_PASSWORD"] as const;

export interface ServiceVariables {
  readonly variables: Readonly<Record<string, string>>;
  /** The database as the owner of its tables. Without it, the stack does not migrate the database. */
  readonly ownerUrl: string | undefined;
  /** The registry account that pulls the service's image. Without it, the nodes use their own. */
  readonly pullAccount: Account | undefined;
}

/** The settings that need variables. */
type ServiceNeeds = Pick<ServiceSettings, "identity" | "notifications">;

/**
 * The variables for the service in the cluster, from this process's. Throws one RDEV_CONNECTION that
 * names everything that is missing or malformed, or that pods cannot use.
 */
export function serviceVariables(
  settings: ServiceNeeds,
  environment: Environment = processEnvironment(),
): ServiceVariables {
  const given = forPods(environment);
  const mistakes = variableMistakes(given, settings);
  if (mistakes.length > 0) throw variablesError(mistakes);
  const variables = SERVICE_VARIABLES.flatMap((name) => {
    const value = given[name];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  const [username, password] = PULL.map((name) => given[name]);
  return {
    variables: Object.fromEntries(variables),
    ownerUrl: given[OWNER] || undefined,
    pullAccount: username && password ? { username, password } : undefined,
  };
}

/** Addresses among these variables that a pod would take for itself: `GITEA_URL (127.0.0.1)`. */
export function loopbackVariables(environment: Environment = processEnvironment()): string[] {
  const given = forPods(environment);
  return [...SERVICE_VARIABLES, OWNER].flatMap((name) => {
    const value = given[name];
    if (!name.endsWith("_URL") || !value || !URL.canParse(value)) return [];
    const { hostname, protocol } = new URL(value);
    return hostname && protocol !== "file:" && isLoopback(hostname)
      ? [`${name} (${hostname})`]
      : [];
  });
}

function forPods(environment: Environment): Environment {
  const own = [...SERVICE_VARIABLES, OWNER].flatMap((name) => {
    const value = environment[FOR_PODS + name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...environment, ...Object.fromEntries(own) };
}

function variableMistakes(given: Environment, settings: ServiceNeeds): string[] {
  const names: ConnectionName[] = [
    ...([
      "gitea",
      "woodpecker",
      "dns",
      "postgres",
      "redis",
      "database",
      "identity",
      "notifications",
    ] as const),
    ...(given["GITEA_TEMPLATE_TOKEN"] === undefined ? [] : (["giteaTemplates"] as const)),
    issuesRegistryTokens(given) ? "registryTokens" : "registry",
    "citadelEnabled",
    ...(isCitadelEnabled(given) ? (["citadel"] as const) : []),
  ];
  const backend = given["PULUMI_BACKEND_URL"] ?? "";
  const owner = given[OWNER];
  return [
    ...new Set(names.flatMap((name) => connectionMistakes(name, given))),
    ...(given["REGISTRY_TOKEN_KEY_FILE"] === undefined
      ? []
      : ["REGISTRY_TOKEN_KEY_FILE names a file that pods do not have: set REGISTRY_TOKEN_KEY"]),
    ...(/^(postgres(ql)?|s3|gs|azblob|https?):/.test(backend)
      ? []
      : [
          "PULUMI_BACKEND_URL is not postgres://, s3:// or another backend that all replicas reach",
        ]),
    // With neither, a key encrypts the secrets: Pulumi could not have opened the stack otherwise.
    ...(given["PULUMI_CONFIG_PASSPHRASE"] || !given["PULUMI_CONFIG_PASSPHRASE_FILE"]
      ? []
      : ["PULUMI_CONFIG_PASSPHRASE is missing; a file's name does not help a pod"]),
    ...(hasSignIn(settings) && given["RDEV_INFRA_SESSION_KEY"] === undefined
      ? ["RDEV_INFRA_SESSION_KEY is missing, which service.identity.people.signIn needs"]
      : []),
    ...receiverMistakes(given, settings),
    ...(PULL.filter((name) => given[name]).length === 1
      ? [`${PULL.join(" and ")} belong to one account: set both, or none`]
      : []),
    ...(owner !== undefined && owner === given["DATABASE_URL"]
      ? [`${OWNER} is the same as DATABASE_URL: the service does not start as the tables' owner`]
      : []),
  ];
}

/** Whether people sign in with a browser. */
function hasSignIn({ identity }: ServiceNeeds): boolean {
  const people = identity?.["people"];
  return typeof people === "object" && people !== null && "signIn" in people;
}

/** Without the receivers' secrets, the service would not start. */
function receiverMistakes(given: Environment, { notifications }: ServiceNeeds): string[] {
  const settings = notificationSettings.safeParse(notifications).data;
  if (!settings || connectionMistakes("notifications", given).length > 0) return [];
  return secretMistakes(settings, connection("notifications", given)).map(
    (mistake) => `service.notifications: ${mistake}`,
  );
}
