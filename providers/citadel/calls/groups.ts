import { z } from "zod";
import type { Http } from "../../http.ts";
import { tenantId } from "../headers.ts";
import type { Groups } from "../port.ts";

const group = z.object({ name: z.string(), tenants: z.array(z.guid()) });
const codes = { 404: "RDEV_TENANT" } as const;
const NOTHING = z.unknown();

/** This part of Citadel's API is not published: it is this project's assumption. */
export function groups(http: Http): Groups {
  const path = (name: string) => `/tenant-groups/${encodeURIComponent(name)}`;
  const member = (name: string, id: string) => `${path(name)}/tenants/${tenantId(id)}`;
  return {
    async put(name) {
      await http.call("PUT", path(name), NOTHING);
    },
    members: async (name) => (await http.find(path(name), group))?.tenants,
    async add(name, id) {
      await http.call("PUT", member(name, id), NOTHING, { codes });
    },
    remove: async (name, id) => http.remove(member(name, id), NOTHING),
  };
}
