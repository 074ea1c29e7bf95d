/**
 * Stands in for Citadel, which is closed source and hosted by a partner.
 *
 * It answers the whole contract by which this project uses Citadel (docs/citadel.md); what that marks
 * as assumed is assumed here too.
 */
import { createStandIn, listen, type StandIn } from "../stand-in.ts";
import { Alerts } from "./alerts.ts";
import { annotationRoutes } from "./annotations.ts";
import { Database } from "./database.ts";
import { answerFailuresInJson } from "./errors.ts";
import { Events } from "./events.ts";
import { ingestRoutes, MAX_BODY_BYTES } from "./ingest.ts";
import { Keys, requireScope } from "./keys.ts";
import { queryRoutes } from "./query.ts";
import { Store } from "./store.ts";
import { tailRoutes } from "./tail.ts";
import { tenantRoutes } from "./tenants.ts";
import { webhookRoutes } from "./webhooks.ts";

export interface CitadelOptions {
  /** The one organization that this server holds, such as `orchard9`. */
  readonly organization: string;
  /** Default: any free one. */
  readonly port?: number;
  /** Holds everything, keys included, for the next start with it. Default: memory. */
  readonly file?: string;
  /** Between two heartbeats of a live tail, in ms. Default: 15 s. */
  readonly heartbeat?: number;
}

export interface Citadel extends StandIn {
  /** May do everything. */
  readonly apiKey: string;
  /** May ingest, and nothing else. */
  readonly agentKey: string;
  /** Breaks the connection of every live tail that is open. */
  cutTails(): void;
}

/** Listens on this machine only. */
export async function startCitadel({
  organization,
  port,
  file,
  heartbeat = 15_000,
}: CitadelOptions): Promise<Citadel> {
  const { app, misbehave } = createStandIn({ bodyLimit: MAX_BODY_BYTES });
  const database = new Database(file);
  const events = new Events(database);
  const store = new Store(organization, database, events);
  const alerts = new Alerts(database);
  const keys = new Keys(database);
  app.addHook("onClose", async () => {
    await alerts.close();
    database.close();
  });
  answerFailuresInJson(app);

  await app.register(async (scoped) => {
    requireScope(scoped, keys, "environments");
    tenantRoutes(scoped, store);
    webhookRoutes(scoped, alerts);
  });
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "ingest");
    ingestRoutes(scoped, store, events, alerts);
  });
  let cutTails = () => {};
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "query");
    queryRoutes(scoped, store, events);
    annotationRoutes(scoped, database, events);
    cutTails = tailRoutes(scoped, store, events, { heartbeat });
  });

  return {
    url: await listen(app, port),
    apiKey: keys.issue("live", ["environments", "ingest", "query"]),
    agentKey: keys.issue("agent", ["ingest"]),
    misbehave,
    cutTails,
    close: () => app.close(),
  };
}
