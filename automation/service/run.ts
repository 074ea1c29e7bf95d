import { sql } from "kysely";
import pTimeout from "p-timeout";
import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { connection, issuesRegistryTokens } from "../../core/connections.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { Kubernetes } from "../../providers/kubernetes/client.ts";
import { registerAuditMetrics } from "../audit/outbox.ts";
import { auditLog } from "../audit/log.ts";
import { auditPage } from "../audit/queries.ts";
import { platformTenant } from "../citadel/tenants.ts";
import { CitadelShipper } from "../audit/shipper.ts";
import { Authenticator, clusterDocuments } from "../identity/authenticator.ts";
import { readIdentitySettings } from "../identity/settings.ts";
import { registerDriftMetrics } from "../drift/metrics.ts";
import { registerRolloutMetrics } from "../rollouts/metrics.ts";
import { DriftRuns } from "../drift/runs.ts";
import { DriftRecords } from "../drift/table.ts";
import { runFleet } from "../fleet/loop.ts";
import { fleetSettings } from "../fleet/settings.ts";
import { Keys } from "../keys/keys.ts";
import { Lifetimes } from "../lifetime/lifetimes.ts";
import { ErrorCounts } from "../logs/error-counts.ts";
import { ProjectLogs } from "../logs/project-logs.ts";
import { Deliveries } from "../notifications/deliveries.ts";
import { Deliverer } from "../notifications/deliverer.ts";
import { registerNotificationMetrics } from "../notifications/outbox.ts";
import { readReceivers, type Receiver } from "../notifications/receivers.ts";
import { Operations } from "../operations/operations.ts";
import { Runner } from "../operations/runner.ts";
import { Conductor } from "../rollouts/conductor.ts";
import { MergedComments } from "../rollouts/merged-comments.ts";
import { MergedRequests } from "../rollouts/merged-requests.ts";
import { MergedRollouts } from "../rollouts/merged.ts";
import { programVersion } from "../rollouts/program-version.ts";
import { Rollouts } from "../rollouts/rollouts.ts";
import { openIssuer } from "../registry/token-issuer.ts";
import { statistics } from "../statistics.ts";
import { requireBox } from "../previews/box.ts";
import { commenter, previewer } from "../previews/open-previewer.ts";
import { storeDelivery } from "../previews/requests.ts";
import { readPreviewSettings } from "../previews/settings.ts";
import { ProjectRecords } from "../store/project-records.ts";
import {
  isOpenToAll,
  OPEN_TO_ALL,
  requireAppendOnly,
  requireSchema,
} from "../store/require-schema.ts";
import { Store } from "../store/store.ts";
import { TemplateUpdates } from "../templates/updates.ts";
import { registerOperationMetrics } from "./metrics.ts";
import { createService } from "./service.ts";

export interface RunOptions {
  /** The platform of the projects: `staging`. */
  readonly platform: string;
  /** The migrated database, with the role that can only append to the audit log. */
  readonly database: { readonly url: string };
  readonly host: string;
  /** 0 selects a free port. */
  readonly port: number;
  /** Operations at once. Default: one per core. */
  readonly concurrency?: number | undefined;
  /** Keep the plugins of an operation for later ones. */
  readonly keepsPlugins: boolean;
  /** Requests per minute and caller. */
  readonly rateLimit: number;
  readonly trustedProxies?: string | undefined;
  /** Whether the one who started a rollout may approve it. */
  readonly ownApproval: boolean;
  readonly logger: Logger;
}

interface RunningService {
  /** For example `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly keys: Keys;
  /**
   * Refuses new requests and waits for running operations. Those that have not ended by the deadline,
   * in ms, return to the queue.
   */
  stop(options: { readonly deadline: number }): Promise<void>;
}

/**
 * Serves the API, runs operations and ships the audit trail. Rejects with RDEV_STORE if the database's
 * schema does not fit this version, or its role has more rights than the service needs, with
 * RDEV_IDENTITY, RDEV_NOTIFICATIONS or RDEV_PREVIEWS if settings in files are malformed, and with
 * RDEV_PREREQUISITE if it should preview pull requests, but cannot isolate them.
 */
export async function runService(options: RunOptions): Promise<RunningService> {
  const { platform, database, host, port, concurrency, keepsPlugins, logger } = options;
  const version = await programVersion();
  const tokenIssuer = issuesRegistryTokens()
    ? await openIssuer(connection("registryTokens"))
    : undefined;
  const identity = connection("identity");
  const settings = await readIdentitySettings(identity);
  const receivers = await readReceivers(connection("notifications"));
  const previews = await readPreviewSettings(connection("previews"));
  if (previews) await requireBox();
  const cluster = settings.serviceAccounts && clusterDocuments(await Kubernetes.connect());
  const store = new Store({ url: database.url });
  await requireDatabase(store, logger).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const audit = auditLog(store);
  const operations = new Operations(store, { audit });
  const { ownApproval } = options;
  const rollouts = new Rollouts(store, { platform, version, audit, ownApproval });
  const keys = new Keys(store);
  const { enabled } = connection("citadelEnabled");
  const runner = new Runner({
    store,
    log: logger,
    keepsPlugins,
    ...(concurrency && { concurrency }),
  });
  const fleet = fleetSettings(platform);
  const drift = new DriftRuns({
    store,
    platform,
    operations,
    settings: async () => (await fleet()).drift,
  });
  const lifetimes = new Lifetimes({
    store,
    platform,
    operations,
    audit,
    settings: async () => (await fleet()).lifetime,
  });
  const app = await createService({
    platform,
    operations,
    rollouts,
    rolloutRequests: new MergedRequests(store, { audit }),
    programVersion: version,
    drift: new DriftRecords(store),
    lookAtAll: (actor) => drift.start(actor),
    authenticator: new Authenticator({ keys, settings, secrets: identity, cluster }),
    logger,
    tokenIssuer,
    projects: new ProjectRecords(store),
    templates: new TemplateUpdates(store, { audit }),
    sizes: fleet,
    audit,
    auditPage: (query) => auditPage(store, query),
    deliveries: new Deliveries(store, { audit }),
    statistics: (query) => statistics(store, query),
    logs: enabled ? new ProjectLogs(new Citadel()) : undefined,
    errorCounts: enabled ? new ErrorCounts(new Citadel()) : undefined,
    checkReady: () => checkDatabase(store),
    forge: previews && {
      ...previews,
      store: (body, events) => storeDelivery(store, body, events),
    },
    metrics: metricsOf(store),
    limits: { requestsPerMinute: options.rateLimit },
    trustedProxies: options.trustedProxies,
  });
  const conductor = new Conductor({ store, operations, audit, platform, version, log: logger });
  const merged = previews && new MergedRollouts({ store, platform, version, rollouts, audit });
  const shutdown = new AbortController();
  const tasks = [lifetimes, drift, ...(merged ? [merged] : [])];
  const loop = runFleet({ store, tasks, log: logger }, shutdown.signal);
  const shipping = enabled ? ship(store, platform, logger, shutdown.signal) : undefined;
  const notifying = notify(store, platform, receivers, logger, shutdown.signal);
  const previewing =
    merged &&
    previewer(previews, { store, audit, log: logger, rollouts: merged }).run(shutdown.signal);
  const commenting =
    previews &&
    new MergedComments({ store, platform, comment: commenter(previews), log: logger }).run(
      shutdown.signal,
    );
  const stop = async (deadline: number) => {
    shutdown.abort();
    await app.close();
    await loop;
    await conductor.stop();
    await runner.stop({ deadline });
    await rollouts.close();
    await operations.close();
    await Promise.all([shipping, notifying, previewing, commenting]);
    await store.close();
  };
  try {
    await runner.start();
    conductor.start();
    const url = await app.listen({ host, port });
    return { url, keys, stop: ({ deadline }) => stop(deadline) };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

async function requireDatabase(store: Store, log: Logger): Promise<void> {
  await requireSchema(store);
  await requireAppendOnly(store);
  if (await isOpenToAll(store)) log.warn({ component: "service" }, OPEN_TO_ALL);
}

/** In ms. A readiness probe does not wait as long as a request. */
const READY_TIMEOUT = 3_000;

/** Rejects if the database does not answer or is not migrated. */
async function checkDatabase(store: Store): Promise<void> {
  const query = store.run((db) => sql`SELECT 1 FROM api_keys, operations LIMIT 1`.execute(db));
  await pTimeout(query, {
    milliseconds: READY_TIMEOUT,
    message: new InfraError("RDEV_UNREACHABLE", "The database does not answer."),
  });
}

function metricsOf(store: Store): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerAuditMetrics(registry, store);
  registerNotificationMetrics(registry, store);
  registerOperationMetrics(registry, store);
  registerDriftMetrics(registry, store);
  registerRolloutMetrics(registry, store);
  return registry;
}

function ship(store: Store, platform: string, log: Logger, signal: AbortSignal): Promise<void> {
  const citadel = new Citadel();
  const shipper = new CitadelShipper({
    store,
    citadel,
    platform,
    tenant: () => platformTenant(citadel),
    onFailure: (error, wait) =>
      log.warn({ component: "audit", code: error.code, wait_ms: wait }, userMessage(error)),
  });
  return shipper.run(signal);
}

/** Runs without receivers as well, so that no events pile up. */
function notify(
  store: Store,
  platform: string,
  receivers: readonly Receiver[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const deliverer = new Deliverer({
    store,
    platform,
    receivers,
    onFailure: (error, wait) =>
      log.warn({ component: "notifications", code: error.code, wait_ms: wait }, userMessage(error)),
  });
  return deliverer.run(signal);
}
