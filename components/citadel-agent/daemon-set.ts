import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { Labels } from "../../core/labels.ts";
import type { AgentSettings } from "../../core/settings.ts";
import { METRICS_PORT } from "./configuration.ts";

type Input = k8s.types.input.core.v1.PodSpec;

/** Seconds. Longer than Fluent Bit takes to send its current chunks (`grace` in its service). */
const TERMINATION_GRACE = 60;

export interface DaemonSetArgs {
  /** The labels of its pods, and the selector. */
  readonly labels: Labels;
  readonly image: string;
  readonly settings: AgentSettings;
  /** The names of its ServiceAccount, Secret and ConfigMap. */
  readonly account: pulumi.Input<string>;
  readonly secret: pulumi.Input<string>;
  readonly config: pulumi.Input<string>;
  /** Changes whenever the Secret or the ConfigMap does. */
  readonly fingerprint: pulumi.Input<string>;
}

/** The spec of the agent's DaemonSet. */
export function daemonSetSpec(args: DaemonSetArgs): k8s.types.input.apps.v1.DaemonSetSpec {
  return {
    selector: { matchLabels: args.labels },
    // A broken configuration stops on a quarter of the nodes. There, logs wait in their files.
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%" } },
    revisionHistoryLimit: 3,
    template: {
      metadata: {
        labels: args.labels,
        annotations: {
          // A new key or configuration restarts the pods.
          "rdev.io/configuration": args.fingerprint,
          "prometheus.io/scrape": "true",
          "prometheus.io/port": String(METRICS_PORT),
          "prometheus.io/path": "/api/v2/metrics/prometheus",
        },
      },
      spec: podSpec(args),
    },
  };
}

function podSpec({ image, settings, account, secret, config }: DaemonSetArgs): Input {
  return {
    serviceAccountName: account,
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    tolerations: [{ operator: "Exists" }],
    // Evicted last, and always scheduled: on a node without the agent, logs rotate away unsent.
    priorityClassName: "system-node-critical",
    terminationGracePeriodSeconds: TERMINATION_GRACE,
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
    containers: [container(image, settings, secret)],
    volumes: [
      { name: "config", configMap: { name: config } },
      // /var/log/containers links to /var/log/pods, where containerd (so k3s) keeps the files.
      { name: "logs", hostPath: { path: "/var/log", type: "Directory" } },
      // Lines that were read but not sent. They must survive the pod.
      { name: "state", hostPath: { path: "/var/lib/citadel-agent", type: "DirectoryOrCreate" } },
    ],
  };
}

function container(
  image: string,
  { args, cpuRequest, cpuLimit, memoryRequest, memoryLimit }: AgentSettings,
  secret: pulumi.Input<string>,
): k8s.types.input.core.v1.Container {
  const fromSecret = (key: string) => ({ secretKeyRef: { name: secret, key } });
  return {
    name: "agent",
    image,
    args,
    env: [
      { name: "CITADEL_API_KEY", valueFrom: fromSecret("api-key") },
      { name: "CITADEL_TENANT_ID", valueFrom: fromSecret("tenant-id") },
      { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
    ],
    ports: [{ name: "metrics", containerPort: METRICS_PORT }],
    // All probe only the agent, not Citadel: a restart would not help in an outage. The port opens late
    // if the name of the API server cannot be resolved: one attempt can take a minute if packets are
    // dropped, and each input makes one.
    startupProbe: { ...PROBE, periodSeconds: 5, failureThreshold: 60 },
    livenessProbe: { ...PROBE, periodSeconds: 10, failureThreshold: 6 },
    readinessProbe: { ...PROBE, periodSeconds: 5 },
    resources: {
      requests: { cpu: cpuRequest, memory: memoryRequest },
      limits: { cpu: cpuLimit, memory: memoryLimit },
    },
    securityContext: {
      // Only root may read the log files. As their owner, it needs no capability for that.
      runAsUser: 0,
      runAsGroup: 0,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "config", mountPath: "/etc/citadel-agent", readOnly: true },
      { name: "logs", mountPath: "/var/log", readOnly: true },
      { name: "state", mountPath: "/var/lib/citadel-agent" },
    ],
  };
}

const PROBE = { httpGet: { path: "/", port: "metrics" }, timeoutSeconds: 5 };
