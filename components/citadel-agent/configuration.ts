import { readFileSync } from "node:fs";
import { stringify } from "yaml";

/** Where the agent finds and keeps things; the defaults are those inside its container. */
export interface AgentPaths {
  /** The folder that the files of `agentConfiguration` are mounted in. @default /etc/citadel-agent */
  readonly configuration: string;
  /** Positions, chunks and what was kept aside; it must outlive the pod. @default /var/lib/citadel-agent */
  readonly state: string;
  /** Where the kubelet links the containers' logs. @default /var/log/containers */
  readonly logs: string;
}

/** How the API server is asked for a pod's labels; the defaults are what every pod is given. */
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
  /** The disk that unsent logs may take on one node, in MiB. @default 1024 */
  readonly bufferMiB?: number;
  readonly paths?: Partial<AgentPaths>;
  readonly kubernetes?: Partial<AgentKubernetes>;
}

/** Where `GET /api/v2/metrics/prometheus`, and `GET /` for the liveness probe, are answered. */
export const METRICS_PORT = 2020;

/**
 * The files of the agent's configuration folder, by name. The agent is started with
 * `--config=<folder>/fluent-bit.yaml` and these variables: CITADEL_API_KEY, CITADEL_TENANT_ID (the
 * platform's own environment) and NODE_NAME.
 */
export function agentConfiguration(args: AgentConfigurationArgs): Record<string, string> {
  return {
    "fluent-bit.yaml": stringify({ service: {}, args }),
    "shape.lua": readFileSync(new URL("shape.lua", import.meta.url), "utf8"),
  };
}
