import { type Environment, processEnvironment } from "../../core/connections.ts";

/** What the program, the engine and its backends read. Nothing else of the service's reaches them. */
const NEEDED = [
  // core/connections.ts, but for the service's own database.
  /^(GITEA|WOODPECKER|POWERDNS|CLOUDFLARE|CITADEL)_/,
  // What signs the registry's tokens is the service's alone.
  /^REGISTRY_(?!TOKEN_KEY)/,
  /^(DNS_PROVIDER|POSTGRES_ADMIN_URL|REDIS_ADMIN_URL|KUBECONFIG)$/,
  /^KUBERNETES_SERVICE_(HOST|PORT)$/,
  /^PULUMI_/,
  // Of Pulumi's backends in buckets.
  /^(AWS|AZURE|GOOGLE)_/,
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SystemRoot|APPDATA|USERPROFILE)$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|(HTTPS?|NO)_PROXY|(https?|no)_proxy)$/,
];

/** By which a process of a worker's is known, whoever started it. */
export const WORKER_MARK = "RDEV_INFRA_WORKER";

/** The variables that a worker gets, of those that the service has. */
export function workerEnvironment(
  mark: string,
  heapMb: number,
  environment: Environment = processEnvironment(),
): Record<string, string> {
  const needed = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && NEEDED.some((pattern) => pattern.test(entry[0])),
  );
  return {
    ...Object.fromEntries(needed),
    // The salt of a stack's secrets is in its state: work folders come and go.
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
    // Node, here and in Pulumi's plugin for dynamic resources; and the engine, which is a Go program.
    NODE_OPTIONS: `--max-old-space-size=${heapMb}`,
    GOMEMLIMIT: `${heapMb}MiB`,
    [WORKER_MARK]: mark,
  };
}
