import type { z } from "zod";
import { isLoopback } from "./address.ts";
import { CONNECTIONS } from "./connection-schemas.ts";
import { type InfraError, problems } from "./errors.ts";

/**
 * The URL and the credentials of each system. They come from environment variables only: Pulumi
 * copies a resource's inputs and the config into the state, and a destroy would then use the
 * credentials of the last `up`.
 *
 * This is the only module of the product that reads process.env.
 */
export type Environment = Readonly<Record<string, string | undefined>>;

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
