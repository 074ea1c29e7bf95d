import * as pulumi from "@pulumi/pulumi";
import { AlertWebhook } from "../components/alert-webhook.ts";
import { CitadelAgent } from "../components/citadel-agent/citadel-agent.ts";
import { CitadelEnvironment } from "../components/citadel-environment.ts";
import { EnvironmentPolicy } from "../components/environment-policy/environment-policy.ts";
import { TenantGroup } from "../components/tenant-group.ts";
import { WorkloadLabels } from "../components/workload-labels.ts";
import { connection, connections } from "../core/connections.ts";
import type { Owner } from "../core/ownership.ts";
import type { PlatformSettings } from "../core/settings.ts";
import { agentKey } from "./agent-key.ts";
import { PLATFORM_ENVIRONMENT, PLATFORM_GROUP, PROJECTS_GROUP } from "./names.ts";
import { platformConfig } from "./config.ts";
import { stackOwner } from "./owner.ts";

/** Where the log agent lives, by the user's plan. */
const AGENT_NAMESPACE = "observability";

/** What a platform stack makes: log collection for the cluster. Its outputs are for the projects. */
export function platformStack(platform: string) {
  const settings = platformConfig();
  const { enabled } = connection("citadelEnabled");
  // Before anything is made: what is missing stops an up that has changed nothing.
  const agent = enabled ? agentConnection(settings) : undefined;
  const owner = stackOwner(platform, platform);

  const groups = [PLATFORM_GROUP, PROJECTS_GROUP].map(
    (group) => new TenantGroup(group, { group, enabled }),
  );
  const environment = new CitadelEnvironment(
    PLATFORM_ENVIRONMENT,
    {
      slug: PLATFORM_ENVIRONMENT,
      owner,
      displayName: "rdev platform",
      organization: settings.citadelOrganization,
      group: PLATFORM_GROUP,
      enabled,
      usePlatformTenant: true,
    },
    { dependsOn: groups },
  );
  if (agent) logCollection(platform, owner, settings, environment, agent);

  return { settings, citadelTenantId: environment.tenantId };
}

interface AgentConnection {
  readonly citadelUrl: string;
  readonly apiKey: string;
}

function agentConnection({ agent }: PlatformSettings): AgentConnection {
  const { citadel } = connections(["citadel", "kubernetes"]);
  const apiKey = agentKey(citadel, agent, (message) => void pulumi.log.warn(message));
  return { citadelUrl: citadel.url, apiKey };
}

function logCollection(
  platform: string,
  owner: pulumi.Output<Owner>,
  settings: PlatformSettings,
  { tenantId }: CitadelEnvironment,
  agent: AgentConnection,
) {
  // Whatever believes or sets the label, comes after the rule about it.
  const policy = new EnvironmentPolicy("environment-policy", { platform, environment: tenantId });
  new CitadelAgent(
    "citadel-agent",
    {
      platform,
      owner,
      namespace: AGENT_NAMESPACE,
      image: settings.agentImage,
      settings: settings.agent,
      ...agent,
      tenantId,
    },
    { dependsOn: policy },
  );
  if (settings.alertWebhook) {
    connection("citadelWebhook"); // missing, it should stop a preview already
    const { alertWebhook, credentialsVersion } = settings;
    new AlertWebhook("alert-webhook", { ...alertWebhook, credentialsVersion });
  }
  for (const workload of settings.workloads) {
    const { kind, namespace, name } = workload;
    new WorkloadLabels(
      `${kind}-${namespace}-${name}`.toLowerCase(),
      { workload, environment: tenantId },
      { dependsOn: policy },
    );
  }
}
