import { stringify } from "yaml";
import { multilineParsers } from "./multiline.ts";
import { luaProgram } from "./lua-program.ts";

/** Where the agent finds and keeps things; the defaults are those inside its container. */
export interface AgentPaths {
  /** The folder that the files of `agentConfiguration` are mounted in. @default /etc/citadel-agent */
  readonly configuration: string;
  /** Positions, chunks and what was kept aside; it must outlive the pod. @default /var/lib/citadel-agent */
  readonly state: string;
  /** Where the kubelet links the containers' logs. @default /var/log/containers */
  readonly logs: string;
}

/** How the API server is asked for labels; the defaults are what every pod is given. */
export interface AgentKubernetes {
  /** @default https://kubernetes.default.svc:443 */
  readonly url: string;
  readonly caFile: string;
  readonly tokenFile: string;
}

export interface AgentConfigurationArgs {
  /** Citadel's URL; a path is kept, a trailing slash is not. */
  readonly citadelUrl: string;
  /** The platform's name, such as `staging`: the `environment` of every event. */
  readonly platform: string;
  /** The agent's own namespace: what its pods say is not sent. */
  readonly namespace: string;
  /** The disk that logs which are not accepted yet may take on one node, in MiB. @default 1024 */
  readonly bufferMiB?: number;
  /** The part of it that one tenant can always use, in MiB. @default a sixteenth, at least 16 */
  readonly tenantMiB?: number | undefined;
  /** What one container may write, for long. @default 2000 */
  readonly containerLinesPerSecond?: number;
  /** What one container may write, for long. @default 1024 */
  readonly containerKiBPerSecond?: number;
  /** How long the lines of a pod that cannot be found wait for its labels, in seconds. @default 300 */
  readonly holdSeconds?: number;
  /** @default 2020 */
  readonly metricsPort?: number;
  readonly paths?: Partial<AgentPaths>;
  readonly kubernetes?: Partial<AgentKubernetes>;
}

/** Where `GET /api/v2/metrics/prometheus`, and `GET /` for the liveness probe, are answered. */
export const METRICS_PORT = 2020;

const UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The files of the agent's configuration folder, by name, for Fluent Bit 5.1. The agent is started
 * with `--config=<folder>/fluent-bit.yaml` and these variables: CITADEL_API_KEY, CITADEL_TENANT_ID
 * (the platform's own environment) and NODE_NAME. Its account needs `get` on pods and on namespaces.
 *
 * The way of a line: tail → its container's limit → labels → its tenant's share of the disk, shape → its tenant's tag → that tenant's chunk on disk → one
 * request with the tag as X-Tenant-ID. A line whose tenant is not known yet keeps its file's tag, and
 * goes round (forward to the agent itself, through the disk) until it is.
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
        // What the output `held` sends.
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

/** The tag is `kube.` with the file's path, its slashes as dots. */
function tagPrefix({ logs }: AgentPaths): string {
  return `kube.${logs.slice(1).replaceAll("/", ".")}.`;
}

/**
 * Most of the disk is for what is only waiting to be sent; a good part for what a key that is not good
 * any more would cost.
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
    grace: 25, // less than the 60 s that its pod has to stop
    log_level: "warn",
    http_server: "on",
    http_listen: "0.0.0.0",
    http_port: port,
    // A retry waits 2 s, then up to a minute.
    "scheduler.base": 2,
    "scheduler.cap": 60,
    // Else a request of Chinese logs has twice its bytes.
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
    // Its own lines would come back for ever.
    exclude_path: `${paths.logs}/citadel-agent-*_${args.namespace}_*.log`,
    "multiline.parser": "cri",
    // Four times a second, in place of after the first line of a trace.
    inotify_watcher: "off",
    read_from_head: "on",
    refresh_interval: 5,
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

/** Before all others, so that a line too many costs little. What was held has passed it already. */
function limit(paths: AgentPaths) {
  return {
    name: "lua",
    script: `${paths.configuration}/citadel.lua`,
    call: "limit",
    time_as_table: "on",
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
      // What one reading of a file holds, and no more: with a buffer, lines that wait for the rest of
      // their trace would be lost when the agent is killed, as the file's position is past them.
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
      merge_log: "off",
      "k8s-logging.parser": "off",
      "k8s-logging.exclude": "off",
      dns_wait_time: 5,
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
      // For what its input refuses to take; two of one name do not start.
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
    // Else a worker that waits for an answer keeps the agent from stopping.
    "net.io_timeout": "5s",
    workers: 1,
    retry_limit: "no_limits",
    "storage.total_limit_size": disk,
  };
}
