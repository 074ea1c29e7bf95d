import { type Check, ok, withSettings } from "../check.ts";
import { dnsClient } from "./client.ts";

export const checks: readonly Check[] = [
  {
    system: "DNS",
    name: "zone",
    needs: ["dns"],
    run: withSettings(async ({ domain }) => {
      await dnsClient().assertMayWrite(domain);
      return ok(`the credential may write ${domain}`);
    }),
  },
];
