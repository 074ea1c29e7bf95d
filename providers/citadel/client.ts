import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { Http } from "../http.ts";
import { ingest } from "./ingest.ts";
import { environments, groups, webhooks } from "./manage.ts";
import type * as port from "./port.ts";
import { query, tail } from "./read.ts";

interface CitadelConnection {
  /** Without a trailing slash. */
  readonly url: string;
  readonly apiKey: string;
  readonly tenantId?: string | undefined;
}

interface CitadelOptions {
  /** For one call with all its retries, in ms. Default: 30 s; `ingest` has its own. */
  readonly deadline?: number;
}

/**
 * Citadel over HTTP. The key needs the scope of each call. Citadel does not publish the API behind
 * `environments` and `groups`: those calls are this project's assumption.
 */
export class Citadel implements port.Citadel {
  readonly #http: Http;
  /** The tenant that CITADEL_TENANT_ID names. */
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
        "The API key of Citadel does not begin with ck_, or contains white space, a line break or a " +
        "character outside ASCII. Check CITADEL_API_KEY.";
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

  async annotate({ logId, content, type = "note", author = "system" }: port.Annotation) {
    const json = {
      log_id: logId,
      content: content.toWellFormed(),
      annotation_type: type,
      author_type: author,
    };
    await this.#http.send("POST", "/annotations", { json });
  }
}

/**
 * Proves that the key can see the organization's environments. Citadel answers a key of another
 * organization with 404 or with an empty list, so neither shows that an environment is gone.
 *
 * The proof is any environment of the organization. After the last one is deleted, the proof is the
 * tenant group that it was in: nobody can delete a group.
 * @throws RDEV_FORBIDDEN if there is no proof.
 */
export async function assertSees(
  { environments, groups }: Pick<port.Citadel, "environments" | "groups">,
  { organization, group }: { readonly organization: string; readonly group: string },
): Promise<void> {
  const seen = await environments.list();
  if (seen.some((environment) => environment.organization === organization)) return;
  const others = [...new Set(seen.map((environment) => environment.organization))];
  if (others.length === 0 && (await groups.members(group))?.length === 0) return;
  throw new InfraError(
    "RDEV_FORBIDDEN",
    `CITADEL_API_KEY sees no environment of the organization ${organization}` +
      `${others.length > 0 ? `, only of ${others.join(", ")}` : ", nor its tenant group"}, so it ` +
      "cannot show that an environment is gone. Set CITADEL_API_KEY to a key of that organization " +
      "with the scope for environments, or correct rdev:citadelOrganization.",
  );
}
