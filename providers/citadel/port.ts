import { InfraError } from "../../core/errors.ts";

/**
 * Citadel, as far as this project uses it. An *environment* is a tenant (a UUID) that holds the logs
 * of one project. A *tenant group* is a named set of tenants. `client.ts` is the HTTP adapter.
 *
 * Every call rejects with an InfraError: RDEV_UNAUTHORIZED, RDEV_FORBIDDEN, RDEV_TENANT (not a UUID,
 * or unknown), RDEV_CONFLICT, RDEV_QUERY (with the position), RDEV_TOO_LARGE, RDEV_RATE_LIMITED (with
 * the time to wait), RDEV_UNREACHABLE, RDEV_DEADLINE, RDEV_CONTRACT or RDEV_REFUSED. No error
 * contains the key.
 */
export interface Citadel {
  readonly environments: Environments;
  readonly groups: Groups;
  readonly webhooks: Webhooks;
  /**
   * Ships events to one environment, in order and in batches. An event that Citadel refuses is left
   * out and reported. Rejects with an IngestError if a batch could not be delivered.
   */
  ingest(
    tenantId: string,
    events: readonly CitadelEvent[],
    options?: IngestOptions,
  ): Promise<IngestReport>;
  /** Newest first. */
  query(scope: Scope, cpl: string, options?: QueryOptions): Promise<QueryResult>;
  /** Yields entries as they arrive on one connection. Ends with it, and rejects if it breaks. */
  tail(scope: Scope, cpl: string, options?: TailOptions): Promise<AsyncIterable<Entry>>;
  /** Adds a note to a log entry. */
  annotate(annotation: Annotation): Promise<void>;
}

export const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type Level = (typeof LEVELS)[number];

export interface CitadelEvent {
  readonly message: string;
  readonly level: Level;
  /** RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`. */
  readonly timestamp: string;
  readonly service: string;
  /** The stage, such as `staging`. Not the tenant. */
  readonly environment: string;
  /** The part of the service that logs: a module or a container. */
  readonly target: string;
  /** JSON values. CPL queries refer to them by name. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The environments that a query covers. */
export type Scope = { readonly tenant: string } | { readonly group: string } | "organization";

export interface IngestOptions {
  /** For all batches together, in ms. Default: 10 s, like Citadel's own client. */
  readonly deadline?: number;
  /** Events in one batch. Default: 100, the limit of Citadel's own client. */
  readonly batchSize?: number;
  /** Compresses the bodies. Default: false, because Citadel does not document that it accepts them. */
  readonly gzip?: boolean;
}

export interface IngestReport {
  readonly accepted: number;
  /** Events that Citadel will never accept. */
  readonly refused: readonly RefusedEvent[];
}

export interface RefusedEvent {
  /** In the caller's list. */
  readonly index: number;
  readonly reason: string;
}

export interface QueryOptions {
  /** `30m`, `1h`, `7d`. Default: `1h`. */
  readonly range?: string;
  /** 1 to 500. Default: 100. */
  readonly limit?: number;
  /** Only lines of this time or later. */
  readonly from?: Date | undefined;
  /** Only lines before this time. */
  readonly before?: Date | undefined;
}

export interface QueryResult {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** All matches, including those beyond the limit. */
  readonly total: number;
  readonly durationMs: number;
}

/** A log line in Citadel. */
export interface Entry {
  readonly id: string;
  readonly timestamp: string;
  readonly level: string;
  readonly service: string;
  readonly message: string;
  readonly traceId: string | undefined;
  /** The event's fields, including its `environment` and `target`. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface TailOptions {
  /** Ends the tail. */
  readonly signal?: AbortSignal;
  /** Continues after the entry with this id. */
  readonly lastEventId?: string;
}

export interface Environment {
  readonly id: string;
  readonly slug: string;
  /** The display name. */
  readonly name: string;
  readonly organization: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Environments {
  list(): Promise<readonly Environment[]>;
  get(id: string): Promise<Environment | undefined>;
  /** Without an organization, finds the one that the key sees. */
  find(slug: string, organization?: string): Promise<Environment | undefined>;
  /** Rejects with RDEV_CONFLICT if the organization already has the slug. */
  create(environment: Omit<Environment, "id">): Promise<Environment>;
  rename(id: string, name: string): Promise<void>;
  /** Sets these metadata entries and keeps the others. */
  mark(id: string, metadata: Readonly<Record<string, string>>): Promise<void>;
  /** Deletes the environment with its logs. Does nothing if there is none. */
  delete(id: string): Promise<void>;
}

export interface Groups {
  /** Creates the group if it does not exist. */
  put(name: string): Promise<void>;
  /** The ids of its environments, or undefined if there is no such group. */
  members(name: string): Promise<readonly string[] | undefined>;
  add(name: string, tenantId: string): Promise<void>;
  remove(name: string, tenantId: string): Promise<void>;
}

/** Addresses that Citadel notifies of new, rising or returning errors. Its API cannot delete one. */
export interface Webhooks {
  list(): Promise<readonly Webhook[]>;
  register(webhook: NewWebhook): Promise<Webhook>;
}

export interface Webhook {
  readonly id: string;
  readonly url: string;
}

interface NewWebhook {
  readonly url: string;
  /** Citadel signs its requests with this: see `verifyCitadelSignature`. */
  readonly secret: string;
}

export interface Annotation {
  /** The entry to annotate. */
  readonly logId: string;
  readonly content: string;
  /** Citadel's annotation type. Default: `note`. */
  readonly type?: string;
  /** The author's type. Default: `system`. */
  readonly author?: string;
}

/** A batch that Citadel did not accept, and what was delivered before it. */
export class IngestError extends InfraError {
  readonly report: IngestReport;
  /**
   * The number of events, from the first on, that were accepted or refused for good. Sending only the
   * rest duplicates no event, unless Citadel's answer was lost (RDEV_UNREACHABLE, RDEV_DEADLINE).
   */
  readonly done: number;

  constructor(cause: InfraError, report: IngestReport, done: number) {
    super(cause.code, cause.message, cause);
    this.report = report;
    this.done = done;
  }
}
