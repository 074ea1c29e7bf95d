/** An alert of Prometheus. */
export interface Alert {
  readonly name: string;
  /** PromQL. */
  readonly expression: string;
  /** The time for which it must hold, in Prometheus' notation. */
  readonly for: string;
  readonly severity: "critical" | "warning";
  readonly summary: string;
}

/** The alerts for the service, as in docs/operations.md. Each replica reports the shared database's numbers. */
export function serviceAlerts(namespace: string): Alert[] {
  return [
    {
      name: "RdevInfraDown",
      expression: `absent(up{namespace="${namespace}", service="rdev-infra"} == 1)`,
      for: "5m",
      severity: "critical",
      summary: "No replica of the service answers.",
    },
    {
      name: "RdevInfraDatabaseAway",
      // The gauge is NaN while PostgreSQL is away, and NaN differs from itself.
      expression: "rdev_operation_queue_oldest_seconds != rdev_operation_queue_oldest_seconds",
      for: "2m",
      severity: "critical",
      summary: "The service's database does not answer.",
    },
    {
      name: "RdevInfraQueueStuck",
      expression: "max(rdev_operation_queue_oldest_seconds) > 900",
      for: "5m",
      severity: "critical",
      summary: "An operation has waited for more than 15 minutes.",
    },
    {
      name: "RdevInfraOperationsFail",
      expression: 'max by (kind) (delta(rdev_operations{state="failed"}[1h])) > 3',
      for: "0m",
      severity: "warning",
      summary: "More than 3 operations of a kind failed within an hour.",
    },
    {
      name: "RdevInfraErrors",
      expression:
        'sum(rate(rdev_http_request_duration_seconds_count{status=~"5.."}[5m])) ' +
        "/ sum(rate(rdev_http_request_duration_seconds_count[5m])) > 0.05",
      for: "10m",
      severity: "warning",
      summary: "More than 5 % of the requests fail.",
    },
    {
      name: "RdevInfraAuditWaits",
      expression: "max(rdev_audit_outbox_oldest_seconds) > 3600",
      for: "5m",
      severity: "warning",
      summary: "Audit events have not reached Citadel for an hour.",
    },
    {
      name: "RdevInfraAuditRefused",
      expression: "max(rdev_audit_outbox_refused) > 0",
      for: "0m",
      severity: "warning",
      summary: "Citadel refused audit events for good.",
    },
    {
      name: "RdevInfraBackupMissing",
      expression: `time() - ${cronJob("last_schedule", namespace)} > 7200 unless ${cronJob("last_successful", namespace)} > ${cronJob("last_schedule", namespace)}`,
      for: "5m",
      severity: "critical",
      summary: "The last backup that was due did not succeed.",
    },
  ];
}

/** A time of the CronJob of backups, in a metric of kube-state-metrics. */
function cronJob(time: string, namespace: string): string {
  return `kube_cronjob_status_${time}_time{namespace="${namespace}", cronjob="rdev-infra-backup"}`;
}

/** The alerts for the log agent, as in docs/agent.md. */
export const AGENT_ALERTS: readonly Alert[] = [
  {
    name: "CitadelAgentRefused",
    expression: 'increase(fluentbit_output_dropped_records_total{name="citadel"}[10m]) > 0',
    for: "15m",
    severity: "warning",
    summary: "Citadel refuses events of a node for good.",
  },
  {
    name: "CitadelAgentBufferFills",
    expression: 'fluentbit_output_chunk_available_capacity_percent{name="citadel"} < 30',
    for: "5m",
    severity: "warning",
    summary: "The space for events that wait for Citadel is almost full.",
  },
  {
    name: "CitadelAgentHeldFills",
    expression: 'fluentbit_output_chunk_available_capacity_percent{name="held"} < 50',
    for: "5m",
    severity: "warning",
    summary: "The space for lines that wait for their labels is half full.",
  },
  {
    name: "CitadelAgentLabelsUnknown",
    expression: 'rate(fluentbit_output_proc_records_total{name="held"}[15m]) > 0',
    for: "30m",
    severity: "warning",
    summary: "The agent cannot read the labels of pods.",
  },
  {
    name: "CitadelAgentRetries",
    expression: 'increase(fluentbit_output_retries_total{name="citadel"}[15m]) > 20',
    for: "0m",
    severity: "warning",
    summary: "The agent cannot reach Citadel.",
  },
  {
    name: "CitadelAgentStuck",
    expression: "rate(fluentbit_uptime[5m]) == 0",
    for: "5m",
    severity: "critical",
    summary: "The agent waits for an API server that does not answer. Delete the pod.",
  },
  {
    name: "CitadelAgentSilent",
    expression:
      'rate(fluentbit_output_proc_records_total{name="citadel"}[15m]) == 0 ' +
      "and on (pod) sum by (pod) (rate(fluentbit_input_records_total[15m])) > 0",
    for: "15m",
    severity: "critical",
    summary: "The agent reads lines and sends nothing.",
  },
  {
    name: "CitadelAgentLongLines",
    expression: "fluentbit_input_long_line_skipped_total > 0",
    for: "0m",
    severity: "warning",
    summary: "The agent left out a line that is too long.",
  },
  {
    name: "CitadelAgentChunks",
    expression: "sum by (pod) (fluentbit_input_storage_chunks_up) > 240",
    for: "5m",
    severity: "warning",
    summary: "The agent has almost as many chunks in memory as it may.",
  },
];

/** The spec of a PrometheusRule. */
export function ruleSpec(groups: Readonly<Record<string, readonly Alert[]>>) {
  return {
    groups: Object.entries(groups).map(([name, alerts]) => ({
      name,
      rules: alerts.map((alert) => ({
        alert: alert.name,
        expr: alert.expression,
        for: alert.for,
        labels: { severity: alert.severity },
        annotations: { summary: alert.summary },
      })),
    })),
  };
}
