import type { ColumnType, Generated, Selectable } from "kysely";
import type { Notification } from "../../core/notification.ts";
import type { DriftError, FixPolicy, KnownChange } from "../../core/drift.ts";
import type { PreviewRequest } from "../../core/previews/forge-event.ts";
import type { ProjectSettings } from "../../core/settings.ts";
import type {
  NumberedEvent,
  OperationKind,
  OperationRequest,
  OperationState,
  Outcome,
  Remaining,
} from "../../core/operation.ts";
import type { MergedRolloutState } from "../../core/merged-rollout.ts";
import type { TemplateSeedRecord, TemplateState } from "../../core/template-update.ts";
import type { StackPlan, StackPreview } from "../../core/previews/model.ts";
import type {
  RolloutEvent,
  RolloutReason,
  RolloutRequest,
  RolloutStackState,
  RolloutState,
} from "../../core/rollout.ts";
import type { RunnerIdentity } from "../operations/runner-identity.ts";
import type { Role } from "../../core/identity.ts";

/** The service's tables. The files in `migrations/` create them. */
export interface Schema {
  projects: ProjectsTable;
  audit_log: AuditLogTable;
  audit_outbox: AuditOutboxTable;
  audit_shipped: AuditShippedTable;
  api_keys: ApiKeysTable;
  operations: OperationsTable;
  operation_attempts: OperationAttemptsTable;
  operation_events: OperationEventsTable;
  notifications: NotificationsTable;
  notification_deliveries: NotificationDeliveriesTable;
  rollouts: RolloutsTable;
  rollout_projects: RolloutProjectsTable;
  rollout_events: RolloutEventsTable;
  drift_runs: DriftRunsTable;
  drift: DriftTable;
  lifetimes: LifetimesTable;
  forge_deliveries: ForgeDeliveriesTable;
  pull_request_heads: PullRequestHeadsTable;
  preview_requests: PreviewRequestsTable;
  merged_rollouts: MergedRolloutsTable;
}

/** Read as a value, but written as JSON text, because pg writes a list as a PostgreSQL array. */
type Json<T> = ColumnType<T, JsonText, JsonText>;

interface ProjectsTable {
  slug: string;
  platform: string;
  /** The display name. */
  name: string;
  /** The id of its environment in Citadel; null while it has none. */
  citadel_tenant_id: string | null;
  /** The settings of its last `up`, as its stack records them. */
  settings: ColumnType<Partial<ProjectSettings>, JsonText | undefined, JsonText>;
  /** The outputs of the last successful `up`. Secrets are replaced by "[secret]". */
  outputs: ColumnType<Readonly<Record<string, unknown>>, JsonText | undefined, JsonText>;
  /** What its last successful `up` recorded of its template; null if it recorded nothing. */
  template_seed: ColumnType<TemplateSeedRecord | null, JsonText | undefined, JsonText | null>;
  /** What the last update of its template found; null if there was none. */
  template: ColumnType<TemplateState | null, JsonText | undefined, JsonText | null>;
  /** The version of the program that its last successful `up` ran; null if it is not known. */
  program_version: ColumnType<string | null, string | undefined, string>;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

/** Append-only. */
interface AuditLogTable {
  id: number;
  at: Date;
  action: string;
  project_id: string | null;
  actor: string;
  result: AuditResult;
  duration_ms: number | null;
  component: string;
  details: ColumnType<Record<string, unknown>, JsonText, never>;
  prev_hash: string;
  hash: string;
}

/** `started` is recorded before the work, and one of the others after it. */
export type AuditResult = "started" | "success" | "failure";

/** One row for each event that is not shipped yet. */
interface AuditOutboxTable {
  audit_id: number;
  /** Events of one project are shipped in order. Empty for events without a project. */
  project_id: string;
  queued_at: Generated<Date>;
  attempts: Generated<number>;
  next_at: Generated<Date>;
  /** Set if Citadel refused the event for good. */
  refused_at: Date | null;
  /** The reason of the refusal or of the last failure. */
  reason: string | null;
}

/** The events that Citadel has taken. Append-only. */
interface AuditShippedTable {
  audit_id: number;
  platform: string;
  tenant_id: string;
  /** The time of the event, which is thus known even if the event was deleted. */
  at: Date;
  shipped_at: Generated<Date>;
}

interface ApiKeysTable {
  /** The lookup key. Not secret. */
  id: string;
  name: string;
  /** A newer version may have roles that this version does not know. */
  role: ColumnType<string, Role, never>;
  /** The only project that the key is valid for; null: all projects. */
  project: string | null;
  /** SHA-256 of the secret. */
  hash: Buffer;
  created_at: Generated<Date>;
  expires_at: Date | null;
  last_used_at: ColumnType<Date | null, never, Date>;
  revoked_at: ColumnType<Date | null, never, Date>;
}

export type ApiKeyRow = Selectable<ApiKeysTable>;

interface OperationsTable {
  id: string;
  platform: string;
  slug: string;
  kind: OperationKind;
  request: Json<OperationRequest>;
  /** The settings that the request names. */
  settings: Json<Partial<ProjectSettings>>;
  state: OperationState;
  actor: string;
  /** The actor who cancelled it. */
  cancelled_by: string | null;
  created_at: Generated<Date>;
  started_at: Date | null;
  ended_at: Date | null;
  attempts: Generated<number>;
  /** The queued operation with the lowest turn is next: see operations.ts. */
  turn: Generated<number>;
  /** The project had nothing anywhere before it, so it made everything that is there now. */
  found_empty: Generated<boolean>;
  /** Its plan was the approved one when it began, so a later attempt continues what the first began. */
  plan_matched: Generated<boolean>;
  outcome: ColumnType<Outcome | null, JsonText | undefined, JsonText | null>;
  remaining: ColumnType<Remaining[], JsonText | undefined, JsonText>;
  /** The number of its last event. */
  last_event: Generated<number>;
  idempotency_key: string | null;
  /** A hash of the request that had the key. */
  fingerprint: string | null;
}

interface OperationAttemptsTable {
  operation_id: string;
  /** From 1. */
  attempt: number;
  started_at: Generated<Date>;
  /** The process that runs it, or ran it. */
  runner: Json<RunnerIdentity>;
  /** The process ids of its engines. */
  engines: Generated<number[]>;
}

interface OperationEventsTable {
  operation_id: string;
  /** From 1, without gaps. */
  number: number;
  at: Date;
  event: Json<NumberedEvent["event"]>;
}

/** Events that are not assigned to receivers yet. */
interface NotificationsTable {
  /** Version 7, so ids sort by time. A receiver gets the same id if the event is sent again. */
  id: string;
  at: Date;
  /** A receiver gets the events of a subject in their order. */
  subject: string;
  event: Json<Notification>;
}

/** Events that a receiver has not taken yet. */
interface NotificationDeliveriesTable {
  /** Its name in the settings. */
  receiver: string;
  id: string;
  at: Date;
  subject: string;
  event: Json<Notification>;
  attempts: Generated<number>;
  /** The next attempt. While one is under way: when another process may assume that it is lost. */
  next_at: Generated<Date>;
  /** Set if the event is not sent again. */
  given_up_at: Date | null;
  /** The reason of the last failure. */
  reason: string | null;
}

interface RolloutsTable {
  id: string;
  platform: string;
  /** The version of the program that it brings. */
  version: string;
  request: Json<RolloutRequest>;
  state: RolloutState;
  reason: string | null;
  actor: string;
  /** The caller's unique id: two callers can have one name. */
  actor_id: string;
  created_at: Generated<Date>;
  ended_at: Date | null;
  /** The fingerprint of the plan of all projects. */
  plan: string | null;
  approved_by: string | null;
  approved_at: Date | null;
  data_loss_approved: Generated<boolean>;
  /** The wave under way, from 1. */
  wave: Generated<number>;
  /** When the last operation of the wave ended. */
  wave_ended_at: Date | null;
  /** The replica that conducts it. */
  conductor: string | null;
  /** The end of the conductor's claim, or when a replica of the rollout's version saw it after that. */
  conducted_until: Date | null;
  /** The number of its last event. */
  last_event: Generated<number>;
}

interface RolloutProjectsTable {
  rollout_id: string;
  slug: string;
  wave: number;
  state: RolloutStackState;
  reason: ColumnType<RolloutReason | null, JsonText | undefined, JsonText | null>;
  fingerprint: string | null;
  loses_data: Generated<boolean>;
  /** The operation that previews it. */
  preview: string | null;
  /** The operation that brings it up. */
  operation: string | null;
  plan: ColumnType<StackPlan | null, JsonText | undefined, JsonText | null>;
  /** How it ended, for the report. */
  result: ColumnType<StackPreview | null, JsonText | undefined, JsonText | null>;
}

interface RolloutEventsTable {
  rollout_id: string;
  /** From 1, without gaps. */
  number: number;
  at: Date;
  event: Json<RolloutEvent>;
}

export type RolloutRow = Selectable<RolloutsTable>;
export type RolloutProjectRow = Selectable<RolloutProjectsTable>;
/** Looks at all projects for drift. At most one of a platform has not ended. */
interface DriftRunsTable {
  id: string;
  platform: string;
  /** The time of the schedule; null if a person started it. */
  scheduled_at: Date | null;
  actor: string;
  started_at: Generated<Date>;
  ended_at: Date | null;
}

/** The drift of each project that was looked at. */
interface DriftTable {
  slug: string;
  /** The last look at all projects that looked at this one. */
  run: string | null;
  /** The last look that succeeded. */
  checked_at: Date | null;
  changes: ColumnType<KnownChange[], JsonText | undefined, JsonText>;
  fixable_by: Generated<FixPolicy>;
  /** Why the last look failed. */
  error: ColumnType<DriftError | null, JsonText | null | undefined, JsonText | null>;
  /** The last look. */
  operation: string | null;
  /** The last operation that was to fix it, and the look that it was for. */
  fix: string | null;
  fixed_look: string | null;
}

/** Projects whose time to live ends. */
interface LifetimesTable {
  slug: string;
  /** The other columns are about this end. */
  expires_at: Date;
  noticed_at: Date | null;
  stopped_at: Date | null;
  /** The operation of the last step. */
  operation: string | null;
  /** How often the step was begun, and when last. */
  attempts: Generated<number>;
  tried_at: Date | null;
}

/** The deliveries of the forge's webhook, so that a repeated one is recognized. */
interface ForgeDeliveriesTable {
  /** `body ` and the SHA-256 of the body. */
  key: string;
  received_at: Generated<Date>;
}

/** The commits that branches of pull requests were at, by the forge's clock. */
interface PullRequestHeadsTable {
  number: number;
  commit: string;
  seen_at: Date;
}

/** Requests of the forge's webhook that are not done yet. */
interface PreviewRequestsTable {
  /** Version 7, so ids sort by time. */
  id: string;
  request: Json<PreviewRequest>;
  attempts: Generated<number>;
  /** The next attempt. While one is under way: when another process may assume that it is lost. */
  next_at: Generated<Date>;
}

/** Requests to roll out a merged commit; at most one of a platform is open. */
interface MergedRolloutsTable {
  id: string;
  platform: string;
  /** The number of the pull request. */
  number: number;
  commit: string;
  /** The version of the program at that commit. */
  version: string;
  /** The account on the forge. */
  by: string;
  state: Generated<MergedRolloutState>;
  /** Why it ended without a rollout. */
  reason: string | null;
  created_at: Generated<Date>;
  ended_at: Date | null;
  /** The rollout that was started for it. */
  rollout_id: string | null;
  /** When to comment on the pull request how it ended; null if there is nothing to say. */
  comment_at: Date | null;
  comment_attempts: Generated<number>;
}

export type MergedRolloutRow = Selectable<MergedRolloutsTable>;
export type OperationRow = Selectable<OperationsTable>;
export type AuditRow = Selectable<AuditLogTable>;

declare const isJson: unique symbol;

/** JSON that PostgreSQL accepts as `jsonb`. JSON columns accept only this type. */
type JsonText = string & { readonly [isJson]: true };

/**
 * Serializes a value, and replaces NUL and lone surrogates, which PostgreSQL refuses in `jsonb`. Other
 * systems send such text, and cutting an emoji makes it. `JSON.stringify` escapes both, in keys too.
 */
export function jsonText(value: unknown): JsonText {
  const text = JSON.stringify(value).replace(/\\(u0000|ud[89a-f][0-9a-f]{2}|[^])/g, (escape) =>
    escape.length > 2 ? "\ufffd" : escape,
  );
  return text as JsonText;
}
