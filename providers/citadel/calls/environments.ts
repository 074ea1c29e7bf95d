import { z } from "zod";
import type { Http } from "../../http.ts";
import { tenantId } from "../headers.ts";
import type { Environment, Environments } from "../port.ts";

const tenant = z.object({
  id: z.guid(),
  slug: z.string(),
  name: z.string(),
  organization: z.string(),
  metadata: z.record(z.string(), z.string()).default({}),
});
const tenants = z.object({ tenants: z.array(tenant) });
const codes = { 409: "RDEV_CONFLICT", 404: "RDEV_TENANT" } as const;

/** This part of Citadel's API is not published: it is this project's assumption. */
export function environments(http: Http): Environments {
  const list = async (query: { slug?: string }): Promise<readonly Environment[]> =>
    (await http.call("GET", "/tenants", tenants, { query })).tenants;
  return {
    list: () => list({}),
    get: async (id) => http.find(`/tenants/${tenantId(id)}`, tenant),
    async find(slug, organization) {
      const same = (each: Environment) =>
        each.slug === slug && (organization ?? each.organization) === each.organization;
      return (await list({ slug })).find(same);
    },
    create: (json) => http.call("POST", "/tenants", tenant, { json, codes }),
    async rename(id, name) {
      await http.call("PATCH", `/tenants/${tenantId(id)}`, z.unknown(), { json: { name }, codes });
    },
    async mark(id, metadata) {
      const path = `/tenants/${tenantId(id)}`;
      const now = await http.call("GET", path, tenant, { codes });
      const json = { metadata: { ...now.metadata, ...metadata } };
      await http.call("PATCH", path, z.unknown(), { json, codes });
    },
    delete: async (id) => http.remove(`/tenants/${tenantId(id)}`, z.unknown()),
  };
}
