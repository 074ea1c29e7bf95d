import { stringify } from "yaml";
import { multilineParsers } from "./multiline.ts";
import { luaProgram } from "./lua-program.ts";

/** The agent's folders. The defaults are those in its container. */
export interface AgentPaths {
  /** The folder with the files of `agentConfiguration`. @default /etc/citadel-agent */
  readonly configuration: string;
  /** File positions and chunks. It must survive the pod. @default /var/lib/citadel-agent */
  readonly state: string;
  /** The kubelet's links to the containers' logs. @default /var/log/containers */
  readonly logs: string;
}

/** The access to the API server, for labels. The defaults work in every pod. */
export interface AgentKubernetes {
  /** @default https://kubernetes.default.svc:443 */
  readonly url: string;
  readonly caFile: string;
  readonly tokenFile: string;
}

export interface AgentConfigurationArgs {
  /** Citadel's URL. It may have a path. */
  readonly citadelUrl: string;
  /** The platform's name, such as `staging`: the `environment` of every event. */
  readonly platform: string;
  /** The agent's own namespace. The agent does not send its own logs. */
  readonly namespace: string;
  /** The disk space on each node for unsent logs, in MiB. @default 1024 */
  readonly bufferMiB?: number;
  /** The part of it that each tenant can always use, in MiB. @default a sixteenth, at least 16 */
  readonly tenantMiB?: number | undefined;
  /** The average rate that a container may write. @default 2000 */
  readonly containerLinesPerSecond?: number;
  /** The average rate that a container may write. @default 1024 */
  readonly containerKiBPerSecond?: number;
  /** How long lines wait for the labels of a pod that cannot be found, in seconds. @default 300 */
  readonly holdSeconds?: number;
  /** @default 2020 */
  readonly metricsPort?: number;
  readonly paths?: Partial<AgentPaths>;
  readonly kubernetes?: Partial<AgentKubernetes>;
}

/** The port for `GET /api/v2/metrics/prometheus`, and for the probes (`GET /`). */
export const METRICS_PORT = 2020;

const UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The files of the agent's configuration folder, by name, for Fluent Bit 5.1. The agent needs the
 * argument `--config=<folder>/fluent-bit.yaml`, the variables CITADEL_API_KEY, CITADEL_TENANT_ID (the
 * platform's own environment) and NODE_NAME, and an account with `get` on pods and namespaces.
 *
 * The stages of a line:
 * 1. tail reads it.
 * 2. limit.lua drops it if its container writes too much.
 * 3. The kubernetes processor adds the labels of its pod and namespace.
 * 4. shape.lua finds its tenant, drops it if the tenant's share of the disk is used up, and makes the
 *    event.
 * 5. rewrite_tag sets the tenant as its tag, so the engine stores it in a chunk of that tenant.
 * 6. The http output sends each chunk in one request, with the tag as X-Tenant-ID.
 *
 * If the tenant is unknown, the line keeps its file's tag. The output `held` then sends it to the input
 * `held`, through the disk, until the tenant is known.
 */
export function agentConfiguration(args: AgentConfigurationArgs): Record<string, string> {
  const paths: AgentPaths = {
    configuration: "/etc/citadel-agent",
    state: "/var/lib/citadel-agent",
    logs: "/var/log/containers",
    ...args.paths,
  };
  const kubernetes: AgentKubernetes = {
    url: "https://kubernetes.default.svc:443",
    caFile: `${SERVICE_ACCOUNT}/ca.crt`,
    tokenFile: `${SERVICE_ACCOUNT}/token`,
    ...args.kubernetes,
  };
  const bufferMiB = args.bufferMiB ?? 1024;
  const disk = shares(bufferMiB);
  const configuration = {
    service: service(paths, args.metricsPort ?? METRICS_PORT, `${disk.rejected}M`),
    multiline_parsers: multilineParsers(),
    pipeline: {
      inputs: [
        tail(args, paths, [limit(paths), ...processors("containers", paths, kubernetes)]),
        // Receives the lines of the output `held`.
        {
          name: "forward",
          alias: "held",
          unix_path: `${paths.state}/held.sock`,
          buffer_max_size: "16M",
          "storage.type": "filesystem",
          processors: { logs: processors("held", paths, kubernetes) },
        },
      ],
      outputs: [citadel(args.citadelUrl, `${disk.unsent}M`), held(paths, `${disk.held}M`)],
    },
  };
  return {
    "fluent-bit.yaml": stringify(configuration, { lineWidth: 0 }),
    "citadel.lua": luaProgram({
      platform: args.platform,
      hold: args.holdSeconds ?? 300,
      prefix: tagPrefix(paths),
      lines: args.containerLinesPerSecond ?? 2000,
      bytes: (args.containerKiBPerSecond ?? 1024) * 1024,
      chunks: chunksFolder(paths),
      share: (args.tenantMiB ?? Math.max(16, Math.floor(bufferMiB / 16))) * 2 ** 20,
      unsent: disk.unsent * 2 ** 20,
    }),
  };
}

/** A tag is `kube.` and the file's path, with dots for slashes. */
function tagPrefix({ logs }: AgentPaths): string {
  return `kube.${logs.slice(1).replaceAll("/", ".")}.`;
}

/**
 * Splits the disk space: most is for unsent chunks, an eighth for held lines, and a quarter for chunks
 * that Citadel rejected, for example because of an expired key.
 */
function shares(mebibytes: number) {
  const eighth = Math.max(1, Math.floor(mebibytes / 8));
  return { unsent: mebibytes - 3 * eighth, held: eighth, rejected: 2 * eighth };
}

function chunksFolder({ state }: AgentPaths): string {
  return `${state}/chunks`;
}

function service(paths: AgentPaths, port: number, rejected: string) {
  return {
    flush: 5,
    grace: 25, // less than the pod's grace period of 60 s
    log_level: "warn",
    http_server: "on",
    http_listen: "0.0.0.0",
    http_port: port,
    // Retries wait between 2 s and a minute.
    "scheduler.base": 2,
    "scheduler.cap": 60,
    // Escaping would double the size of a request with Chinese logs.
    "json.escape_unicode": "off",
    "storage.path": chunksFolder(paths),
    "storage.sync": "normal",
    "storage.metrics": "on",
    "storage.max_chunks_up": 256,
    "storage.backlog.mem_limit": "16M",
    "storage.keep.rejected": "on",
    "storage.rejected.path": "rejected",
    "storage.rejected.limit": rejected,
  };
}

function tail(args: AgentConfigurationArgs, paths: AgentPaths, logs: readonly object[]) {
  return {
    name: "tail",
    alias: "containers",
    tag: "kube.*",
    path: `${paths.logs}/*.log`,
    // Reading its own lines would cause an endless loop.
    exclude_path: `${paths.logs}/citadel-agent-*_${args.namespace}_*.log`,
    "multiline.parser": "cri",
    // Polling reads four times a second. inotify would read after the first line of a trace.
    inotify_watcher: "off",
    read_from_head: "on",
    // A pod can be deleted, and its files with it, a few seconds after it started.
    refresh_interval: 1,
    rotate_wait: 30,
    buffer_chunk_size: "128k",
    buffer_max_size: "512k",
    skip_long_lines: "on",
    db: `${paths.state}/tail.db`,
    "db.locking": "on",
    "storage.type": "filesystem",
    mem_buf_limit: "16M",
    processors: { logs },
  };
}

/** The first processor, so that a dropped line costs little. Held lines have already passed it. */
function limit(paths: AgentPaths) {
  return {
    name: "lua",
    script: `${paths.configuration}/citadel.lua`,
    call: "limit",
    time_as_table: "off", // seconds, which is all that it needs
    enable_flb_null: "on",
  };
}

function processors(
  input: string,
  paths: AgentPaths,
  kubernetes: AgentKubernetes,
): readonly object[] {
  return [
    {
      // Joins only lines of the same read. With a buffer, a kill of the agent would lose lines that
      // wait for the rest of their trace, because the file position is already behind them.
      name: "multiline",
      "multiline.parser": "traces",
      "multiline.key_content": "log",
      mode: "parser",
      buffer: "off",
    },
    {
      name: "kubernetes",
      kube_url: kubernetes.url,
      kube_ca_file: kubernetes.caFile,
      kube_token_file: kubernetes.tokenFile,
      kube_tag_prefix: tagPrefix(paths),
      labels: "on",
      annotations: "off",
      namespace_labels: "on",
      buffer_size: 0,
      cache_use_docker_id: "on",
      kube_meta_cache_ttl: 0,
      // In seconds; the default is 15 minutes. The cache's key is the namespace's name, so the lines of a
      // project that was destroyed and created again would go to its old environment for that time.
      kube_meta_namespace_cache_ttl: 15,
      merge_log: "off",
      "k8s-logging.parser": "off",
      "k8s-logging.exclude": "off",
      // At its start the plugin resolves kube_url only to report whether it can. By default it tries for
      // 3 minutes, with the port for the probes closed. Later look-ups resolve the name again.
      dns_retries: 1,
      dns_wait_time: 1,
    },
    {
      name: "lua",
      script: `${paths.configuration}/citadel.lua`,
      call: "shape",
      time_as_table: "on",
      enable_flb_null: "on",
    },
    {
      name: "rewrite_tag",
      rule: `$fields['k8s']['tenant'] ${UUID} $fields['k8s']['tenant'] false`,
      // The emitter takes lines that its input refuses. The engine does not start if two share a name.
      emitter_name: `${input}-emitter`,
      "emitter_storage.type": "filesystem",
    },
  ];
}

function citadel(url: string, disk: string) {
  const { hostname, port, protocol, pathname } = new URL(url);
  const tls = protocol === "https:";
  return {
    name: "http",
    alias: "citadel",
    match_regex: UUID,
    host: hostname,
    port: Number(port) || (tls ? 443 : 80),
    tls: tls ? "on" : "off",
    ...(tls && { "tls.verify": "on", "tls.verify_hostname": "on" }),
    uri: `${pathname.replace(/\/$/, "")}/api/v1/ingest`,
    workers: 1,
    format: "json",
    json_date_key: "false",
    header_tag: "X-Tenant-ID",
    header: "Authorization Bearer ${CITADEL_API_KEY}",
    log_response_payload: "off",
    "http.response_timeout": "30s",
    "net.connect_timeout": "10s",
    retry_limit: "no_limits",
    "storage.total_limit_size": disk,
  };
}

function held(paths: AgentPaths, disk: string) {
  return {
    name: "forward",
    alias: "held",
    match: "kube.*",
    unix_path: `${paths.state}/held.sock`,
    require_ack_response: "on",
    // Without a timeout, a worker that waits for an answer would prevent the agent from stopping.
    "net.io_timeout": "5s",
    workers: 1,
    retry_limit: "no_limits",
    "storage.total_limit_size": disk,
  };
}
