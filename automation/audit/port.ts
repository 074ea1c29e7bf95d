import type { AuditResult } from "../store/schema.ts";
import type { StoreTransaction } from "../store/store.ts";

/** Who did what, to which project, and how it ended. */
export interface AuditEvent {
  /** What is done, as `project.create`: words of a-z, 0-9 and hyphens, joined by dots. */
  readonly action: string;
  /** The project's slug; none for what concerns the platform. */
  readonly projectId?: string;
  /** A person or a service: `ada@example.test`, `rdev-api`. */
  readonly actor: string;
  /** The part that does it: `infra`, `build`, `saga`, `http`. */
  readonly component: string;
  readonly result: AuditResult;
  /** How long it took; whole once it is written. */
  readonly durationMs?: number;
  /** The same in the intent and in the end of an operation; kept among the details. */
  readonly operation?: string;
  /** Any JSON. Secrets are taken out, and what is too long is cut. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The record of all that was done. Once `record` has resolved, the event is not lost. */
export interface AuditLog {
  /** Rejects with RDEV_AUDIT for an event that is malformed, and as `Store.run`. */
  record(event: AuditEvent): Promise<void>;
  /** As part of a transaction of the caller's, for work that is done in the same database. */
  recordIn(transaction: StoreTransaction, event: AuditEvent): Promise<void>;
}
