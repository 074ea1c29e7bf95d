import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import type { Http } from "../http.ts";
import type { Environment, Environments, Groups, Webhooks } from "./port.ts";

const tenant = z.object({
  id: z.guid(),
  slug: z.string(),
  name: z.string(),
  organization: z.string(),
  metadata: z.record(z.string(), z.string()).default({}),
});
const tenants = z.object({ tenants: z.array(tenant) });
const TENANT_CODES = { 409: "RDEV_CONFLICT", 404: "RDEV_TENANT" } as const;

/** Throws RDEV_TENANT unless the id is a UUID. */
export function tenantId(id: string): string {
  if (z.guid().safeParse(id).success) return id.toLowerCase();
  const text = `The tenant id ${JSON.stringify(id)} is not a UUID.`;
  throw new InfraError("RDEV_TENANT", text);
}

/** Citadel does not publish this part of its API: the calls are this project's assumption. */
export function environments(http: Http): Environments {
  const list = async (query: { slug?: string }): Promise<readonly Environment[]> =>
    (await http.call("GET", "/tenants", tenants, { query })).tenants;
  return {
    list: () => list({}),
    get: async (id) => http.find(`/tenants/${tenantId(id)}`, tenant),
    async find(slug, organization) {
      const isWanted = (each: Environment) =>
        each.slug === slug && (organization ?? each.organization) === each.organization;
      return (await list({ slug })).find(isWanted);
    },
    create: (json) => http.call("POST", "/tenants", tenant, { json, codes: TENANT_CODES }),
    async rename(id, name) {
      const options = { json: { name }, codes: TENANT_CODES };
      await http.send("PATCH", `/tenants/${tenantId(id)}`, options);
    },
    async mark(id, metadata) {
      const path = `/tenants/${tenantId(id)}`;
      const now = await http.call("GET", path, tenant, { codes: TENANT_CODES });
      const json = { metadata: { ...now.metadata, ...metadata } };
      await http.send("PATCH", path, { json, codes: TENANT_CODES });
    },
    delete: async (id) => http.remove(`/tenants/${tenantId(id)}`),
  };
}

const group = z.object({ name: z.string(), tenants: z.array(z.guid()) });

/** Citadel does not publish this part of its API: the calls are this project's assumption. */
export function groups(http: Http): Groups {
  const path = (name: string) => `/tenant-groups/${encodeURIComponent(name)}`;
  const member = (name: string, id: string) => `${path(name)}/tenants/${tenantId(id)}`;
  return {
    async put(name) {
      await http.send("PUT", path(name));
    },
    members: async (name) => (await http.find(path(name), group))?.tenants,
    async add(name, id) {
      await http.send("PUT", member(name, id), { codes: { 404: "RDEV_TENANT" } });
    },
    remove: async (name, id) => http.remove(member(name, id)),
  };
}

const webhook = z.object({
  id: z.union([z.string(), z.number().transform(String)]),
  url: z.string(),
});
const webhookList = z.object({ webhooks: z.array(webhook) });
const WEBHOOKS = "/webhooks/deployments";

export function webhooks(http: Http): Webhooks {
  return {
    list: async () => (await http.call("GET", WEBHOOKS, webhookList)).webhooks,
    register: (json) =>
      http.call("POST", WEBHOOKS, webhook, { json, codes: { 409: "RDEV_CONFLICT" } }),
  };
}
