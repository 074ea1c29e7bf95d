import type { FastifyBaseLogger } from "fastify";
import type { Registry } from "prom-client";
import type { AuditLog } from "../audit/log.ts";
import type { AuditPage } from "../audit/queries.ts";
import type { Keys } from "../keys/keys.ts";
import type { Operations } from "../operations/operations.ts";
import type { TokenIssuer } from "../registry/token-issuer.ts";
import type { ProjectRecords } from "../store/project-records.ts";
import type { AuditRow } from "../store/schema.ts";

/** What the HTTP service stands on. */
export interface ServiceParts {
  /** The platform that its projects are on, as `staging`. */
  readonly platform: string;
  readonly operations: Pick<
    Operations,
    "submit" | "find" | "list" | "events" | "follow" | "cancel"
  >;
  readonly projects: Pick<ProjectRecords, "find" | "list">;
  readonly keys: Pick<Keys, "authenticate">;
  readonly audit: Pick<AuditLog, "record">;
  readonly auditPage: (query: AuditPage) => Promise<AuditRow[]>;
  /** Rejects as long as the service cannot work. */
  readonly checkReady: () => Promise<void>;
  /** Gives the image registry's accounts their tokens. Default: this service does not. */
  readonly tokenIssuer?: TokenIssuer | undefined;
  readonly metrics: Registry;
  readonly logger: FastifyBaseLogger;
  readonly limits?: Partial<Limits>;
  /** Addresses or networks of proxies that are believed about a client's address. Default: none. */
  readonly trustedProxies?: string | undefined;
}

export interface Limits {
  /** Of one key, a minute. */
  readonly requests: number;
  /** Streams of events that one key may have open. */
  readonly streams: number;
  /** That an address may send without a good key, a minute. */
  readonly strangers: number;
  /** That an address may ask whether the service is ready, a minute. */
  readonly probes: number;
  /** Tokens of the image registry that one account may ask for, a minute. */
  readonly tokens: number;
  /** Of a body, in bytes. */
  readonly body: number;
  /** In ms: for a request to arrive whole. */
  readonly arrival: number;
  /** In ms: between signs of life on a stream of events. */
  readonly heartbeat: number;
  /** In ms: after which a client that reads nothing is cut off. */
  readonly unread: number;
  /** In ms: after which a service that ends cuts off who is still connected. */
  readonly farewell: number;
}

export const LIMITS: Limits = {
  requests: 6_000,
  streams: 100,
  strangers: 60,
  probes: 120,
  tokens: 6_000,
  body: 64 * 1024,
  arrival: 30_000,
  heartbeat: 15_000,
  unread: 60_000,
  farewell: 5_000,
};
