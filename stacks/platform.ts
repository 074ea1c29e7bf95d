import * as pulumi from "@pulumi/pulumi";
import { AlertWebhook } from "../components/alert-webhook.ts";
import { CitadelAgent } from "../components/citadel-agent/citadel-agent.ts";
import { CitadelEnvironment } from "../components/citadel-environment.ts";
import { EnvironmentPolicy } from "../components/environment-policy/environment-policy.ts";
import { TenantGroup } from "../components/tenant-group.ts";
import { WorkloadLabels } from "../components/workload-labels.ts";
import { connection, connections } from "../core/connections.ts";
import { PLATFORM_ENVIRONMENT, PLATFORM_GROUP, PROJECTS_GROUP } from "./names.ts";
import { platformConfig } from "./config.ts";

/** Where the log agent lives, by the user's plan. */
const AGENT_NAMESPACE = "observability";

/** What a platform stack makes: log collection for the cluster. Its outputs are for the projects. */
export function platformStack(platform: string) {
  const settings = platformConfig();
  const { enabled } = connection("citadelEnabled");

  const groups = [PLATFORM_GROUP, PROJECTS_GROUP].map(
    (group) => new TenantGroup(group, { group, enabled }),
  );
  const environment = new CitadelEnvironment(
    PLATFORM_ENVIRONMENT,
    {
      slug: PLATFORM_ENVIRONMENT,
      displayName: "rdev platform",
      organization: settings.citadelOrganization,
      group: PLATFORM_GROUP,
      enabled,
      usePlatformTenant: true,
    },
    { dependsOn: groups },
  );
  if (enabled) logCollection(platform, settings, environment);

  return { settings, citadelTenantId: environment.tenantId };
}

function logCollection(
  platform: string,
  settings: ReturnType<typeof platformConfig>,
  { tenantId }: CitadelEnvironment,
) {
  const { citadel } = connections(["citadel", "kubernetes"]);
  if (!citadel.hasAgentKey) {
    void pulumi.log.warn(
      "CITADEL_AGENT_KEY is not set: the agent gets CITADEL_API_KEY, which can manage environments, " +
        "on every node. Make a key that is good for ingest only, and set CITADEL_AGENT_KEY to it.",
    );
  }
  // Whatever believes or sets the label, comes after the rule about it.
  const policy = new EnvironmentPolicy("environment-policy", { platform, environment: tenantId });
  new CitadelAgent(
    "citadel-agent",
    {
      platform,
      namespace: AGENT_NAMESPACE,
      image: settings.agentImage,
      settings: settings.agent,
      citadelUrl: citadel.url,
      apiKey: citadel.agentKey,
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
