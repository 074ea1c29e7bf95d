import { z } from "zod";
import { connection } from "../../core/connections.ts";
import type { Ownership } from "../../core/ownership.ts";
import { Http } from "../http.ts";

const tenant = z.object({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  organization: z.string(),
  metadata: z.record(z.string(), z.string()).default({}),
});
const tenants = z.object({ tenants: z.array(tenant) });
const group = z.object({ name: z.string(), tenants: z.array(z.uuid()) });

export type Tenant = z.output<typeof tenant>;

export interface NewTenant {
  readonly slug: string;
  readonly name: string;
  readonly organization: string;
  readonly metadata: Ownership;
}

const NOTHING = z.unknown();

/**
 * Citadel's tenants (environments) and tenant groups. This part of its API is not published: it is
 * this project's assumption. The key needs the scope for environments.
 */
export class Citadel {
  readonly #http: Http;
  /** What CITADEL_TENANT_ID names. */
  readonly platformTenant: string | undefined;

  constructor({ url, apiKey, tenantId } = connection("citadel")) {
    this.platformTenant = tenantId;
    this.#http = new Http({
      system: "Citadel",
      url: `${url}/api/v1`,
      headers: { authorization: `Bearer ${apiKey}` },
      secrets: [apiKey],
      credential: "CITADEL_API_KEY",
    });
  }

  tenant(id: string): Promise<Tenant | undefined> {
    return this.#http.find(`/tenants/${id}`, tenant);
  }

  async tenantBySlug(organization: string, slug: string): Promise<Tenant | undefined> {
    const found = await this.#http.call("GET", "/tenants", tenants, { query: { slug } });
    return found.tenants.find((each) => each.slug === slug && each.organization === organization);
  }

  createTenant(json: NewTenant): Promise<Tenant> {
    return this.#http.call("POST", "/tenants", tenant, { json });
  }

  async renameTenant(id: string, name: string): Promise<void> {
    await this.#http.call("PATCH", `/tenants/${id}`, NOTHING, { json: { name } });
  }

  /** Its logs go with it. */
  deleteTenant(id: string): Promise<void> {
    return this.#http.remove(`/tenants/${id}`, NOTHING);
  }

  async putGroup(name: string): Promise<void> {
    await this.#http.call("PUT", groupPath(name), NOTHING);
  }

  /** The ids of its tenants. */
  async members(name: string): Promise<readonly string[] | undefined> {
    return (await this.#http.find(groupPath(name), group))?.tenants;
  }

  async addMember(name: string, id: string): Promise<void> {
    await this.#http.call("PUT", `${groupPath(name)}/tenants/${id}`, NOTHING);
  }

  removeMember(name: string, id: string): Promise<void> {
    return this.#http.remove(`${groupPath(name)}/tenants/${id}`, NOTHING);
  }
}

function groupPath(name: string): string {
  return `/tenant-groups/${encodeURIComponent(name)}`;
}
