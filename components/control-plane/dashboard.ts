/** A curve, or one for each value of a label: PromQL, and Grafana's template for its name. */
type Query = readonly [expression: string, legend: string];

interface Panel {
  readonly title: string;
  /** Grafana's name of a unit. */
  readonly unit: "short" | "s" | "reqps" | "bytes";
  readonly queries: readonly Query[];
}

const RATE = "rate(rdev_http_request_duration_seconds";

/** The panels, two in a row. Each replica reports the numbers of the shared database, so `max` takes one. */
const PANELS: readonly Panel[] = [
  {
    title: "Operations under way and waiting",
    unit: "short",
    queries: [
      [
        'sum by (state) (max by (kind, state) (rdev_operations{state=~"queued|running|cancelling"}))',
        "{{state}}",
      ],
    ],
  },
  {
    title: "Age of the oldest waiting operation",
    unit: "s",
    queries: [["max(rdev_operation_queue_oldest_seconds)", "oldest"]],
  },
  {
    title: "Operations that ended within an hour",
    unit: "short",
    queries: [
      [
        'max by (kind, state) (delta(rdev_operations{state=~"succeeded|failed|cancelled"}[1h]))',
        "{{kind}} {{state}}",
      ],
    ],
  },
  {
    title: "Average duration of operations",
    unit: "s",
    queries: [["max by (kind, state) (rdev_operation_duration_seconds)", "{{kind}} {{state}}"]],
  },
  {
    title: "Requests by status",
    unit: "reqps",
    queries: [[`sum by (status) (${RATE}_count[5m]))`, "{{status}}"]],
  },
  {
    title: "Duration of requests",
    unit: "s",
    queries: [
      [`histogram_quantile(0.5, sum by (le) (${RATE}_bucket[5m])))`, "half of them"],
      [`histogram_quantile(0.99, sum by (le) (${RATE}_bucket[5m])))`, "99 %"],
    ],
  },
  {
    title: "Audit events on their way to Citadel",
    unit: "short",
    queries: [
      ["max(rdev_audit_outbox_backlog)", "waiting"],
      ["max(rdev_audit_outbox_refused)", "refused"],
    ],
  },
  {
    title: "Memory of the service, without workers",
    unit: "bytes",
    queries: [['process_resident_memory_bytes{service="rdev-infra"}', "{{pod}}"]],
  },
];

const [WIDTH, HEIGHT] = [12, 8];

/** Grafana's dashboard of the service, as JSON. */
export function dashboard(platform: string): string {
  return JSON.stringify({
    uid: `rdev-infra-${platform}`,
    title: `rdev-infra: ${platform}`,
    tags: ["rdev-infra"],
    timezone: "browser",
    schemaVersion: 39,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [{ name: "datasource", label: "Data source", type: "datasource", query: "prometheus" }],
    },
    panels: PANELS.map(({ title, unit, queries }, index) => ({
      id: index + 1,
      type: "timeseries",
      title,
      datasource: { type: "prometheus", uid: "${datasource}" },
      gridPos: {
        x: (index % 2) * WIDTH,
        y: Math.floor(index / 2) * HEIGHT,
        w: WIDTH,
        h: HEIGHT,
      },
      fieldConfig: { defaults: { unit }, overrides: [] },
      targets: queries.map(([expr, legendFormat], at) => ({
        refId: String.fromCharCode("A".charCodeAt(0) + at),
        expr,
        legendFormat,
      })),
    })),
  });
}
