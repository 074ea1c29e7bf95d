import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Labels } from "../../core/labels.ts";
import type { ServiceSettings } from "../../core/service-settings.ts";
import { AGENT_ALERTS, ruleSpec, serviceAlerts } from "./alerts.ts";
import { dashboard } from "./dashboard.ts";
import { NAME } from "./pods.ts";

const OPERATOR = "monitoring.coreos.com/v1";
export const SERVICE_MONITOR = `${OPERATOR}/ServiceMonitor`;
export const PROMETHEUS_RULE = `${OPERATOR}/PrometheusRule`;

/** The Secret with an API key of the role viewer, under `key`. A person makes it: Prometheus reads metrics with it. */
const METRICS_SECRET = "rdev-infra-metrics";

export interface MonitoringArgs {
  readonly platform: string;
  readonly settings: Pick<ServiceSettings, "namespace" | "monitoringLabels">;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels: Labels };
  /** The kinds of the Prometheus Operator that the cluster has. */
  readonly monitoring: pulumi.Output<readonly string[]>;
  readonly collectsLogs: boolean;
}

/**
 * A dashboard for Grafana, and for the Prometheus Operator a ServiceMonitor and the alerts, each if the
 * cluster has the kind. Delete deletes them with the service's namespace.
 */
export class Monitoring extends pulumi.ComponentResource {
  constructor(name: string, args: MonitoringArgs, options: pulumi.ResourceOptions) {
    super("rdev:components:Monitoring", name, {}, { parent: options.parent });
    const { platform, settings, metadata, collectsLogs } = args;
    const { dependsOn, deletedWith } = options;
    const child = { parent: this, dependsOn, deletedWith };

    new k8s.core.v1.ConfigMap(
      `${name}-dashboard`,
      {
        metadata: {
          ...metadata,
          name: `${NAME}-dashboard`,
          // The label that the sidecar of Grafana's chart looks for.
          labels: { ...metadata.labels, grafana_dashboard: "1" },
        },
        data: { [`rdev-infra-${platform}.json`]: dashboard(platform) },
      },
      child,
    );
    const labels = { ...metadata.labels, ...settings.monitoringLabels };
    const custom = (kind: string, spec: object) =>
      new k8s.apiextensions.CustomResource(
        `${name}-${kind}`,
        { apiVersion: OPERATOR, kind, metadata: { ...metadata, labels }, spec },
        child,
      );
    // In the preview of a new platform the kinds are unknown, and it shows neither object.
    args.monitoring.apply((kinds) => {
      if (kinds.includes(SERVICE_MONITOR)) custom("ServiceMonitor", monitorSpec(metadata.labels));
      if (kinds.includes(PROMETHEUS_RULE)) {
        const service = serviceAlerts(settings.namespace);
        const groups = { [NAME]: service, ...(collectsLogs && { "citadel-agent": AGENT_ALERTS }) };
        custom("PrometheusRule", ruleSpec(groups));
      }
    });

    this.registerOutputs({});
  }
}

function monitorSpec(matchLabels: Labels) {
  return {
    selector: { matchLabels },
    endpoints: [
      {
        port: "http",
        path: "/metrics",
        interval: "30s",
        authorization: { type: "Bearer", credentials: { name: METRICS_SECRET, key: "key" } },
      },
    ],
  };
}
