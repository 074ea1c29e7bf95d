import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { Http } from "../http.ts";
import { annotate } from "./calls/annotate.ts";
import { environments } from "./calls/environments.ts";
import { groups } from "./calls/groups.ts";
import { ingest } from "./calls/ingest.ts";
import { query } from "./calls/query.ts";
import { tail } from "./calls/tail.ts";
import { webhooks } from "./calls/webhooks.ts";
import type * as port from "./port.ts";

export interface CitadelConnection {
  /** Without a trailing slash. */
  readonly url: string;
  readonly apiKey: string;
  readonly tenantId?: string | undefined;
}

export interface CitadelOptions {
  /** For one call with all its retries, in ms. Default: 30 s; ingest has its own. */
  readonly deadline?: number;
}

/**
 * Citadel over HTTP. The key needs the scope for what is called; `environments` and `groups` are
 * this project's assumption of a part of the API that is not published.
 */
export class Citadel implements port.Citadel {
  readonly #http: Http;
  /** What CITADEL_TENANT_ID names. */
  readonly platformTenant: string | undefined;
  readonly environments: port.Environments;
  readonly groups: port.Groups;
  readonly webhooks: port.Webhooks;

  constructor(
    { url, apiKey, tenantId }: CitadelConnection = connection("citadel"),
    options: CitadelOptions = {},
  ) {
    if (!/^ck_[\x21-\x7e]+$/.test(apiKey)) {
      const text =
        "The API key of Citadel does not begin with ck_, or holds white space, a line break or a " +
        "character outside ASCII. Look at CITADEL_API_KEY.";
      throw new InfraError("RDEV_CONNECTION", text);
    }
    this.platformTenant = tenantId;
    this.#http = new Http({
      system: "Citadel",
      url: `${url}/api/v1`,
      headers: { authorization: `Bearer ${apiKey}` },
      secrets: [apiKey],
      credential: "CITADEL_API_KEY",
      ...options,
    });
    this.environments = environments(this.#http);
    this.groups = groups(this.#http);
    this.webhooks = webhooks(this.#http);
  }

  async ingest(
    tenantId: string,
    events: readonly port.CitadelEvent[],
    options?: port.IngestOptions,
  ): Promise<port.IngestReport> {
    return ingest(this.#http, tenantId, events, options);
  }

  async query(
    scope: port.Scope,
    cpl: string,
    options?: port.QueryOptions,
  ): Promise<port.QueryResult> {
    return query(this.#http, scope, cpl, options);
  }

  async tail(
    scope: port.Scope,
    cpl: string,
    options?: port.TailOptions,
  ): Promise<AsyncIterable<port.Entry>> {
    return tail(this.#http, scope, cpl, options);
  }

  async annotate(annotation: port.Annotation): Promise<void> {
    await annotate(this.#http, annotation);
  }
}
