import { connection, type ConnectionName } from "../../core/connections.ts";
import { type Check, clock } from "../../providers/check.ts";
import { Http } from "../../providers/http.ts";

type WithUrl = Extract<ConnectionName, "gitea" | "woodpecker" | "dns" | "registry" | "citadel">;

/** The clock of a server that tells its time in the header of any answer, even a refusal. */
export function clockCheck(system: string, name: WithUrl): Check {
  return {
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
  };
}
