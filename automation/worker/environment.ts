import { type Environment, processEnvironment } from "../../core/connections.ts";
import { killProcessesWithVariable, processesWithVariable } from "../processes/processes.ts";

/** The variables that the program, the engine and its backends read. A worker gets no others. */
const NEEDED = [
  // The connections in core/connections.ts, except the service's own database.
  /^(WOODPECKER|POWERDNS|CLOUDFLARE|CITADEL)_/,
  // Only the service updates templates.
  /^GITEA_(?!TEMPLATE_)/,
  // Only the service may sign registry tokens.
  /^REGISTRY_(?!TOKEN_KEY)/,
  /^(DNS_PROVIDER|POSTGRES_ADMIN_URL|REDIS_ADMIN_URL|KUBECONFIG)$/,
  /^KUBERNETES_SERVICE_(HOST|PORT)$/,
  /^PULUMI_/,
  // Credentials of Pulumi's backends in buckets, and of the keys that encrypt secrets.
  /^(AWS|AZURE|GOOGLE|VAULT)_/,
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SystemRoot|APPDATA|USERPROFILE)$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|GIT_SSL_CAPATH)$/,
  /^(NODE_COMPILE_CACHE|(HTTPS?|NO)_PROXY|(https?|no)_proxy)$/,
];

/** The variable that marks workers, plugins and every process that they start, directly or not. */
export const WORKER_MARK = "RDEV_INFRA_WORKER";

/** The environment of a worker, taken from the service's. */
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
    // Work folders are temporary, so Pulumi must take the salt of a stack's secrets from its state.
    PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
    // The first limits Node (the worker), the second the engine. Node would let the space for new objects
    // grow to 16 MiB and keep it; 4 use 20 MiB less and no more CPU (docs/performance.md).
    NODE_OPTIONS: `--max-old-space-size=${heapMb} --max-semi-space-size=4`,
    GOMEMLIMIT: `${heapMb}MiB`,
    [WORKER_MARK]: mark,
  };
}

/** The processes of all workers and plugins with a mark that starts with one of these. */
export function workerProcesses(...marks: readonly string[]): number[] {
  return processesWithVariable(...marks.map((mark) => `${WORKER_MARK}=${mark}`));
}

export function killWorkerProcesses(mark: string): void {
  killProcessesWithVariable(`${WORKER_MARK}=${mark}`);
}
