/**
 * Citadel, as this project uses it, in its own words: an *environment* is a tenant (a UUID) that
 * holds one project's logs, a *tenant group* names a set of them. `client.ts` is its HTTP adapter.
 *
 * Every call rejects with an InfraError: RDEV_UNAUTHORIZED, RDEV_FORBIDDEN, RDEV_TENANT (no UUID, or
 * unknown), RDEV_CONFLICT, RDEV_QUERY (with the position), RDEV_TOO_LARGE, RDEV_RATE_LIMITED (with
 * how long), RDEV_UNREACHABLE, RDEV_DEADLINE, RDEV_CONTRACT or RDEV_REFUSED. None holds the key.
 */
export interface Citadel {
  readonly environments: Environments;
  readonly groups: Groups;
  readonly webhooks: Webhooks;
  /**
   * Ships events to one environment, in order, in batches. An event that cannot be taken is left out
   * and reported; the others are shipped. Rejects with an IngestError where a batch was not taken.
   */
  ingest(
    tenantId: string,
    events: readonly CitadelEvent[],
    options?: IngestOptions,
  ): Promise<IngestReport>;
  /** Newest first. */
  query(scope: Scope, cpl: string, options?: QueryOptions): Promise<QueryResult>;
  /** Entries as they come, on one connection: ends when that ends, and rejects when it breaks. */
  tail(scope: Scope, cpl: string, options?: TailOptions): Promise<AsyncIterable<Entry>>;
  /** A note on a log entry. */
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
  /** `staging`; not the tenant. */
  readonly environment: string;
  /** The part of the service that speaks: a module, a container. */
  readonly target: string;
  /** JSON values: CPL finds them by name. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Whose logs. */
export type Scope = { readonly tenant: string } | { readonly group: string } | "organization";

export interface IngestOptions {
  /** For all batches together, in ms. Default: 10 s, as Citadel's own client has. */
  readonly deadline?: number;
  /** Events of one batch. Default, and Citadel's own client's limit: 100. */
  readonly batchSize?: number;
  /** Compresses the bodies. Default: false, as Citadel does not say that it takes them. */
  readonly gzip?: boolean;
}

export interface IngestReport {
  readonly accepted: number;
  /** What cannot be taken, however often it is sent. */
  readonly refused: readonly RefusedEvent[];
}

export interface RefusedEvent {
  /** In the list that was given. */
  readonly index: number;
  readonly reason: string;
}

export interface QueryOptions {
  /** `30m`, `1h`, `7d`. Default: `1h`. */
  readonly range?: string;
  /** 1 to 500. Default: 100. */
  readonly limit?: number;
}

export interface QueryResult {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** All that match, also beyond the limit. */
  readonly total: number;
  readonly durationMs: number;
}

/** A log line, as Citadel keeps it. */
export interface Entry {
  readonly id: string;
  readonly timestamp: string;
  readonly level: string;
  readonly service: string;
  readonly message: string;
  readonly traceId: string | undefined;
  /** The event's fields, its `environment` and `target` among them. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface TailOptions {
  /** Ends the tail. */
  readonly signal?: AbortSignal;
  /** Go on after the entry of this id. */
  readonly lastEventId?: string;
}

export interface Environment {
  readonly id: string;
  readonly slug: string;
  /** For people. */
  readonly name: string;
  readonly organization: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Environments {
  list(): Promise<readonly Environment[]>;
  get(id: string): Promise<Environment | undefined>;
  /** Without an organization: the one that the key sees. */
  find(slug: string, organization?: string): Promise<Environment | undefined>;
  /** Rejects with RDEV_CONFLICT where the organization has one of that slug. */
  create(environment: Omit<Environment, "id">): Promise<Environment>;
  rename(id: string, name: string): Promise<void>;
  /** Sets these entries of its metadata, and keeps the others. */
  mark(id: string, metadata: Readonly<Record<string, string>>): Promise<void>;
  /** Its logs go with it. Done as well where there is none. */
  delete(id: string): Promise<void>;
}

export interface Groups {
  /** Makes it where it is missing. */
  put(name: string): Promise<void>;
  /** The ids of its environments; undefined where there is no such group. */
  members(name: string): Promise<readonly string[] | undefined>;
  add(name: string, tenantId: string): Promise<void>;
  remove(name: string, tenantId: string): Promise<void>;
}

/** Where Citadel tells of new, rising or returning errors. Its API deletes none. */
export interface Webhooks {
  list(): Promise<readonly Webhook[]>;
  register(webhook: NewWebhook): Promise<Webhook>;
}

export interface Webhook {
  readonly id: string;
  readonly url: string;
}

export interface NewWebhook {
  readonly url: string;
  /** Signs what is sent: see `verifyCitadelSignature`. */
  readonly secret: string;
}

export interface Annotation {
  /** The entry's. */
  readonly logId: string;
  readonly content: string;
  /** Citadel's word for its kind. Default: `note`. */
  readonly type?: string;
  /** Who wrote it. Default: `system`. */
  readonly author?: string;
}
