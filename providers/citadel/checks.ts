import { connection } from "../../core/connections.ts";
import { PLATFORM_GROUP } from "../../core/citadel.ts";
import { InfraError } from "../../core/errors.ts";
import { type Check, failed, ok, warning, withSettings } from "../check.ts";
import { assertSees, Citadel } from "./client.ts";

const AGENT_TODO =
  "Make a key in Citadel that only permits ingest, and set CITADEL_AGENT_KEY to it.";

export const checks: readonly Check[] = [
  {
    system: "Citadel",
    name: "key",
    needs: ["citadel"],
    run: withSettings(async ({ citadelOrganization: organization }) => {
      const citadel = new Citadel();
      // Before the first up there may be no environment that proves anything.
      if ((await citadel.environments.list()).length === 0) return ok("may list environments");
      await assertSees(citadel, { organization, group: PLATFORM_GROUP });
      return ok(`sees the environments of ${organization}`);
    }),
  },
  {
    system: "Citadel",
    name: "agent key",
    needs: ["citadel"],
    run: withSettings(async ({ agent }) => {
      const { url, apiKey, agentKey, hasAgentKey } = connection("citadel");
      if (!hasAgentKey || agentKey === apiKey) {
        const found = hasAgentKey ? "is the management key" : "CITADEL_AGENT_KEY is not set";
        return agent.useManagementKey ? warning(found, AGENT_TODO) : failed(found, AGENT_TODO);
      }
      try {
        await new Citadel({ url, apiKey: agentKey }).environments.list();
      } catch (error) {
        if (!(error instanceof InfraError && error.code === "RDEV_FORBIDDEN")) throw error;
        return ok("may not manage environments");
      }
      return warning("CITADEL_AGENT_KEY, which lies on every node, sees environments", AGENT_TODO);
    }),
  },
];
