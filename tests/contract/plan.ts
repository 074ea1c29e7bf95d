import type { CitadelEvent, QueryOptions } from "../../providers/citadel/port.ts";

/** The tenant of an event. `outsider` is in no group. */
export type Whose = "platform" | "project" | "outsider";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Told extends Partial<Pick<CitadelEvent, "level" | "service">> {
  readonly message: string;
  readonly fields?: Record<string, unknown>;
  /** In ms. Default: a minute. */
  readonly ago?: number;
}

/** For each query of the plan, events that it must find and similar ones that it must not find. */
const TOLD: Readonly<Record<Whose, readonly Told[]>> = {
  platform: [
    { message: "build broke", level: "error", fields: { component: "build" } },
    { message: "build went well", fields: { component: "build" } },
    { message: "build warned", level: "warn", fields: { component: "build", result: "failure" } },
    { message: "api broke", level: "error", fields: { component: "http", duration_ms: 3 } },
    { message: "5000 ms", fields: { component: "http", duration_ms: 5000 } },
    { message: "5001 ms", fields: { component: "http", duration_ms: 5001 } },
    { message: "12000.5 ms", fields: { component: "http", duration_ms: 12_000.5 } },
    { message: "700 ms", fields: { component: "http", duration_ms: 700 } },
    { message: "slow worker", fields: { component: "worker", duration_ms: 90_000 } },
    { message: "saga failed", fields: { component: "saga", result: "failure" } },
    { message: "saga done", fields: { component: "saga", result: "success" } },
    { message: "created", fields: { action: "project.create", project_id: "my-project" } },
    { message: "created long ago", fields: { action: "project.create" }, ago: 30 * HOUR },
    { message: "created too long ago", fields: { action: "project.create" }, ago: 200 * HOUR },
    { message: "almost created", fields: { action: "project.created" } },
    { message: "deleted", fields: { action: "project.delete", project_id: "my-project-2" } },
    { message: "says level:error only", fields: { note: "level:error" } },
    { message: "broke before", level: "error", ago: 2 * HOUR },
    { message: "of the project before", fields: { project_id: "my-project" }, ago: 3 * HOUR },
  ],
  project: [
    { message: "app broke", level: "error", service: "my-project" },
    { message: "app runs", service: "my-project", fields: { project_id: "my-project" } },
    { message: "app broke before", level: "error", service: "my-project", ago: 2 * HOUR },
  ],
  outsider: [
    { message: "outsider broke", level: "error", service: "outsider" },
    { message: "outsider knows it", service: "outsider", fields: { project_id: "my-project" } },
  ],
};

export function planEvents(whose: Whose): CitadelEvent[] {
  return TOLD[whose].map(({ ago = MINUTE, ...told }) => ({
    level: "info",
    service: "rdev-api",
    environment: "staging",
    target: "contract",
    timestamp: new Date(Date.now() - ago).toISOString(),
    ...told,
  }));
}

interface PlanQuery {
  /** The query in the words of the plan. */
  readonly cpl: string;
  readonly scope: "platform" | "project" | "group" | "organization";
  /** The plan's `--last`. Default: Citadel's or ours. */
  readonly last?: NonNullable<QueryOptions["range"]>;
  /** The messages of the expected entries. */
  readonly finds: readonly string[];
}

/** The plan's queries, literally and in its order. */
export const PLAN_QUERIES: readonly PlanQuery[] = [
  { cpl: "level:error", scope: "platform", last: "1h", finds: ["build broke", "api broke"] },
  {
    cpl: "project_id:my-project",
    scope: "platform",
    last: "24h",
    finds: ["created", "of the project before"],
  },
  { cpl: "component:build level:error", scope: "platform", finds: ["build broke"] },
  { cpl: "component:saga result:failure", scope: "platform", finds: ["saga failed"] },
  {
    cpl: "duration_ms:>5000 component:http",
    scope: "platform",
    finds: ["5001 ms", "12000.5 ms"],
  },
  {
    cpl: "action:project.create",
    scope: "platform",
    last: "7d",
    finds: ["created", "created long ago"],
  },
  { cpl: "level:error", scope: "project", last: "1h", finds: ["app broke"] },
  { cpl: "level:error", scope: "group", last: "1h", finds: ["app broke"] },
  {
    cpl: "project_id:my-project",
    scope: "organization",
    last: "24h",
    finds: ["created", "of the project before", "app runs", "outsider knows it"],
  },
];
