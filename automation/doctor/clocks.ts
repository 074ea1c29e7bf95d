import { connection, type ConnectionName } from "../../core/connections.ts";
import { type Check, clock } from "../../providers/check.ts";
import { Http } from "../../providers/http.ts";

type WithUrl = Extract<ConnectionName, "gitea" | "woodpecker" | "dns" | "registry" | "citadel">;

/** The clocks of the servers that tell their time in the header of any answer, even a refusal. */
export function clockChecks(systems: readonly (readonly [string, WithUrl])[]): Check[] {
  return systems.map(([system, name]) => ({
    system,
    name: "clock",
    needs: [name],
    run: async () => {
      const { url } = connection(name);
      const http = new Http({ system, url, headers: {}, secrets: [], credential: "nothing" });
      const asked = Date.now();
      const { headers } = await http.raw("GET", "/");
      const { date } = headers;
      return clock(typeof date === "string" ? new Date(date) : undefined, asked);
    },
  }));
}
