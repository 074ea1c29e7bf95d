/** Stands in for Citadel, which is closed source and hosted by a partner.
 *
 * It answers tenants, tenant groups, ingest and simple queries of the contract by which this
 * project uses Citadel; what the contract marks as assumed is assumed here too. Its state is in memory.
 */
import { createStandIn, listen, type StandIn } from "../stand-in.ts";
import { answerFailuresInJson } from "./errors.ts";
import { ingestRoutes, MAX_BODY_BYTES } from "./ingest.ts";
import { Keys, requireScope } from "./keys.ts";
import { queryRoutes } from "./query.ts";
import { Store } from "./store.ts";
import { tenantRoutes } from "./tenants.ts";

export interface CitadelOptions {
  /** The one organization that this server holds, such as `orchard9`. */
  readonly organization: string;
  /** Default: any free one. */
  readonly port?: number;
}

export interface Citadel extends StandIn {
  /** May do everything. */
  readonly apiKey: string;
  /** May ingest, and nothing else. */
  readonly agentKey: string;
}

/** Listens on this machine only. */
export async function startCitadel({ organization, port }: CitadelOptions): Promise<Citadel> {
  const { app, misbehave } = createStandIn({ bodyLimit: MAX_BODY_BYTES });
  const store = new Store(organization);
  app.addHook("onClose", async () => store.close());
  answerFailuresInJson(app);

  const keys = new Keys();
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "environments");
    tenantRoutes(scoped, store);
  });
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "ingest");
    ingestRoutes(scoped, store);
  });
  await app.register(async (scoped) => {
    requireScope(scoped, keys, "query");
    queryRoutes(scoped, store);
  });

  return {
    url: await listen(app, port),
    apiKey: keys.issue("ck_live", ["environments", "ingest", "query"]),
    agentKey: keys.issue("ck_agent", ["ingest"]),
    misbehave,
    close: () => app.close(),
  };
}
