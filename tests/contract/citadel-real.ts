/** `npm run test:citadel` runs this against the Citadel that the environment variables name. */
import { connection } from "../../core/connections.ts";
import { itKeepsTheContract } from "./citadel.ts";

describe("the Citadel of CITADEL_URL", () => {
  itKeepsTheContract(() => {
    const { url, apiKey, agentKey, hasAgentKey } = connection("citadel");
    return {
      url,
      apiKey,
      agentKey: hasAgentKey ? agentKey : undefined,
      organization: process.env["CITADEL_ORGANIZATION"] ?? "orchard9",
      throwaway: false,
    };
  });
});
