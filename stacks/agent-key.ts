import type { Connection } from "../core/connections.ts";
import { InfraError } from "../core/errors.ts";
import type { AgentSettings } from "../core/settings.ts";

/**
 * The key that the log agent sends with. The agent runs on every node, so a key that can manage
 * environments is given to it only where a setting asks for that; then `warn` is called.
 */
export function agentKey(
  citadel: Pick<Connection<"citadel">, "apiKey" | "agentKey" | "hasAgentKey">,
  { useManagementKey }: Pick<AgentSettings, "useManagementKey">,
  warn: (message: string) => void,
): string {
  if (citadel.hasAgentKey && citadel.agentKey !== citadel.apiKey) return citadel.agentKey;
  const what = citadel.hasAgentKey
    ? "CITADEL_AGENT_KEY is the same key as CITADEL_API_KEY"
    : "CITADEL_AGENT_KEY is not set";
  const wayOut =
    "Make a key in Citadel that is good for ingest only, and set CITADEL_AGENT_KEY to it.";
  if (!useManagementKey) {
    throw new InfraError(
      "RDEV_CONNECTION",
      `${what}, so the log agent on every node would hold a key that can manage environments. ` +
        `${wayOut} Or allow it with the setting rdev:agent {"useManagementKey": true}.`,
    );
  }
  warn(
    `${what}: the log agent on every node holds a key that can manage environments, as the setting ` +
      `rdev:agent.useManagementKey allows. ${wayOut}`,
  );
  return citadel.apiKey;
}
