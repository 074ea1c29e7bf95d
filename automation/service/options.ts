import type { FastifyBaseLogger } from "fastify";
import type { Registry } from "prom-client";
import type { DriftRun } from "../../core/drift.ts";
import type { ForgeEvent } from "../../core/previews/forge-event.ts";
import type { SizeSettings } from "../../core/size-rules.ts";
import type { AuditLog } from "../audit/log.ts";
import type { AuditPage } from "../audit/queries.ts";
import type { DriftRecords } from "../drift/table.ts";
import type { Authenticator } from "../identity/authenticator.ts";
import type { ErrorCounts } from "../logs/error-counts.ts";
import type { ProjectLogs } from "../logs/project-logs.ts";
import type { Deliveries } from "../notifications/deliveries.ts";
import type { Operations } from "../operations/operations.ts";
import type { TokenIssuer } from "../registry/token-issuer.ts";
import type { Period, StatisticsQuery } from "../statistics.ts";
import type { MergedRequests } from "../rollouts/merged-requests.ts";
import type { Rollouts } from "../rollouts/rollouts.ts";
import type { ProjectRecords } from "../store/project-records.ts";
import type { AuditRow } from "../store/schema.ts";
import type { TemplateUpdates } from "../templates/updates.ts";

export interface ServiceOptions {
  /** The platform of the service's projects: `staging`. */
  readonly platform: string;
  readonly operations: Pick<
    Operations,
    "submit" | "find" | "list" | "events" | "follow" | "cancel"
  >;
  readonly projects: Pick<ProjectRecords, "find" | "list" | "counts" | "resources">;
  readonly rollouts: Pick<
    Rollouts,
    | "start"
    | "find"
    | "list"
    | "projects"
    | "report"
    | "events"
    | "follow"
    | "approve"
    | "pause"
    | "resume"
    | "cancel"
  >;
  readonly rolloutRequests: Pick<MergedRequests, "list" | "cancel">;
  /** The version of the program that the service runs. */
  readonly programVersion: string;
  readonly templates: Pick<TemplateUpdates, "update" | "list">;
  /** The platform's sizes and ceilings. Rejects with RDEV_PLATFORM if it was never brought up. */
  readonly sizes: () => Promise<SizeSettings>;
  readonly drift: Pick<DriftRecords, "find" | "list" | "runs">;
  /** Begins a look at all projects for drift. Rejects with RDEV_BUSY if one is under way. */
  readonly lookAtAll: (actor: string) => Promise<DriftRun>;
  readonly authenticator: Authenticator;
  readonly audit: Pick<AuditLog, "record">;
  readonly auditPage: (query: AuditPage) => Promise<AuditRow[]>;
  readonly deliveries: Pick<Deliveries, "list" | "resend">;
  readonly statistics: (query: StatisticsQuery) => Promise<Period[]>;
  /** The logs of projects. Default: none, because the platform has no Citadel. */
  readonly logs?: Pick<ProjectLogs, "page" | "histogram" | "follow" | "download"> | undefined;
  /** Counts the projects' errors. Default: none, because the platform has no Citadel. */
  readonly errorCounts?: Pick<ErrorCounts, "of"> | undefined;
  /** Rejects while the service cannot work. */
  readonly checkReady: () => Promise<void>;
  /** Issues tokens for accounts of the image registry. Default: the service issues none. */
  readonly tokenIssuer?: TokenIssuer | undefined;
  /** The webhook of the forge. Default: the service takes no events. */
  readonly forge?: ForgeWebhooks | undefined;
  readonly metrics: Registry;
  readonly logger: FastifyBaseLogger;
  readonly limits?: Partial<ServiceLimits>;
  /** Addresses or networks of proxies whose X-Forwarded-For is trusted. Default: none. */
  readonly trustedProxies?: string | undefined;
}

/** The webhook of Gitea or GitHub. */
export interface ForgeWebhooks {
  readonly secret: string;
  /** `owner/name`. */
  readonly repository: string;
  /** Stores the events of a body. Returns false if the body came before. */
  readonly store: (body: Buffer, events: readonly ForgeEvent[]) => Promise<boolean>;
}

export interface ServiceLimits {
  /** Requests of one caller. */
  readonly requestsPerMinute: number;
  /** Event streams that one caller may have open. */
  readonly streamsPerKey: number;
  /** Live tails that one caller may have open: each is a connection to Citadel. */
  readonly tailsPerKey: number;
  /** Downloads of logs that one caller may have under way. */
  readonly downloadsPerKey: number;
  /** Histograms of logs of one caller: each can take Citadel 150 queries. */
  readonly histogramsPerMinute: number;
  /** Requests of one address without a valid credential, and its sign-ins. */
  readonly unauthenticatedPerMinute: number;
  /** Readiness probes of one address. */
  readonly probesPerMinute: number;
  /** Registry tokens of one account. */
  readonly tokensPerMinute: number;
  /** The size of a request's body. */
  readonly bodyBytes: number;
  /** The time in which a request must arrive completely. */
  readonly requestTimeoutMs: number;
  /** The time between two comments on an event stream. */
  readonly heartbeatMs: number;
  /** A client of an event stream or a download that reads nothing for this long is disconnected. */
  readonly idleStreamMs: number;
  /** On shutdown, clients that are still connected after this time are disconnected. */
  readonly shutdownGraceMs: number;
}

export const DEFAULT_LIMITS: ServiceLimits = {
  requestsPerMinute: 6_000,
  streamsPerKey: 100,
  tailsPerKey: 20,
  downloadsPerKey: 2,
  histogramsPerMinute: 60,
  unauthenticatedPerMinute: 60,
  probesPerMinute: 120,
  tokensPerMinute: 6_000,
  bodyBytes: 64 * 1024,
  requestTimeoutMs: 30_000,
  heartbeatMs: 15_000,
  idleStreamMs: 60_000,
  shutdownGraceMs: 5_000,
};
