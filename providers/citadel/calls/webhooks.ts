import { z } from "zod";
import type { Http } from "../../http.ts";
import type { Webhooks } from "../port.ts";

const webhook = z.object({
  id: z.union([z.string(), z.number().transform(String)]),
  url: z.string(),
});
const list = z.object({ webhooks: z.array(webhook) });
const PATH = "/webhooks/deployments";

export function webhooks(http: Http): Webhooks {
  return {
    list: async () => (await http.call("GET", PATH, list)).webhooks,
    register: (json) => http.call("POST", PATH, webhook, { json, codes: { 409: "RDEV_CONFLICT" } }),
  };
}
