/**
 * Stands in for Citadel, which is closed source and hosted by a partner.
 *
 * It implements the whole contract by which this project uses Citadel (docs/citadel.md), including the
 * parts that the contract marks as assumed. All data is in memory.
 */
import { createStandIn, listen, type StandIn } from "../stand-in.ts";
import { Alerts, webhookRoutes } from "./alerts.ts";
import { answerFailuresInJson, Keys, requireScope } from "./http.ts";
import { ingestRoutes, MAX_BODY_BYTES } from "./ingest.ts";
import { Logs } from "./logs.ts";
import { queryRoutes } from "./query.ts";
import { tailRoutes } from "./tail.ts";
import { tenantRoutes, Tenants } from "./tenants.ts";

export interface CitadelOptions {
  /** The one organization of this server, such as `orchard9`. */
  readonly organization: string;
  /** @default any free port */
  readonly port?: number;
  /** The time between two heartbeats of a live tail, in ms. @default 15 s */
  readonly heartbeat?: number;
}

export interface Citadel extends StandIn {
  /** A key for all calls. */
  readonly apiKey: string;
  /** A key for ingest only. */
  readonly agentKey: string;
  /** Breaks the connection of every open live tail. */
  cutTails(): void;
}

/** Starts the server on 127.0.0.1. */
export async function startCitadel({
  organization,
  port,
  heartbeat = 15_000,
}: CitadelOptions): Promise<Citadel> {
  const { app, misbehave } = createStandIn({ bodyLimit: MAX_BODY_BYTES });
  const logs = new Logs();
  const tenants = new Tenants(organization);
  const alerts = new Alerts();
  const keys = new Keys();
  app.addHook("onClose", () => alerts.close());
  answerFailuresInJson(app);

  await app.register(async (scoped) => {
    requireScope(scoped, keys, "environments");
    tenantRoutes(scoped, tenants, logs);
    webhookRoutes(scoped, alerts);
  });
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "ingest");
    ingestRoutes(scoped, tenants, logs, alerts);
  });
  let cutTails = () => {};
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "query");
    queryRoutes(scoped, tenants, logs);
    cutTails = tailRoutes(scoped, tenants, logs, { heartbeat });
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
