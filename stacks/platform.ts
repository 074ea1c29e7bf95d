import * as pulumi from "@pulumi/pulumi";
import { AgentNetwork } from "../components/agent-network.ts";
import { AlertWebhook } from "../components/alert-webhook.ts";
import { CitadelAgent } from "../components/citadel-agent/citadel-agent.ts";
import { CitadelEnvironment } from "../components/citadel-environment.ts";
import { ClusterClaim } from "../components/cluster-claim.ts";
import { EnvironmentPolicy } from "../components/environment-policy/environment-policy.ts";
import { ProjectPolicy } from "../components/project-policy/project-policy.ts";
import { TenantGroup } from "../components/tenant-group.ts";
import { WorkloadLabels } from "../components/workload-labels.ts";
import { connection, connections } from "../core/connections.ts";
import type { Owner } from "../core/ownership.ts";
import type { PlatformSettings } from "../core/settings.ts";
import { agentKey } from "./agent-key.ts";
import { PLATFORM_ENVIRONMENT, PLATFORM_GROUP, PROJECTS_GROUP } from "./names.ts";
import { platformConfig } from "./config.ts";
import { stackOwner } from "./owner.ts";

/**
 * What a platform stack makes: the rules about its projects in the cluster, and log collection. Its
 * outputs are for the projects.
 */
export function platformStack(platform: string) {
  const settings = platformConfig();
  const { enabled } = connection("citadelEnabled");
  connections(["kubernetes", ...(enabled ? (["citadel"] as const) : [])]);
  // Before anything is made: what is missing stops an up that has changed nothing.
  const agent = enabled ? agentConnection(settings) : undefined;
  const owner = stackOwner(platform, platform);

  // What would refuse is asked before anything is made.
  const claim = new ClusterClaim("cluster-claim", {
    platform,
    owner,
    ...(enabled && {
      logs: { namespace: settings.agentNamespace, actions: settings.policyActions },
    }),
  });
  new ProjectPolicy("project-policy", { platform, owner }, { dependsOn: claim });
  const groups = [PLATFORM_GROUP, PROJECTS_GROUP].map(
    (group) => new TenantGroup(group, { group, enabled }, { dependsOn: claim }),
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
  if (agent) logCollection({ platform, owner, settings, environment, agent, claim });

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

interface LogCollection {
  readonly platform: string;
  readonly owner: pulumi.Output<Owner>;
  readonly settings: PlatformSettings;
  /** The platform's own. */
  readonly environment: CitadelEnvironment;
  readonly agent: AgentConnection;
  readonly claim: ClusterClaim;
}

function logCollection({ platform, owner, settings, environment, agent, claim }: LogCollection) {
  const { tenantId } = environment;
  claim.actions.apply((inForce) => {
    if (inForce.includes("Deny")) return;
    void pulumi.log.warn(
      `The policies about environments only tell what they would refuse (${inForce.join(", ")}): ` +
        "whoever may label a pod can write into another tenant's logs. Look at the warnings and the " +
        `audit log of the cluster, then run: pulumi config set --path 'rdev:policyActions[0]' Deny`,
    );
  });
  // Whatever believes or sets the label, comes after the rule about it.
  const policy = new EnvironmentPolicy(
    "environment-policy",
    { owner, environment: tenantId, actions: claim.actions },
    { dependsOn: claim },
  );
  const agents = new CitadelAgent(
    "citadel-agent",
    {
      platform,
      owner,
      namespace: settings.agentNamespace,
      image: settings.agentImage,
      settings: settings.agent,
      ...agent,
      tenantId,
    },
    { dependsOn: policy },
  );
  new AgentNetwork("citadel-agent-network", {
    platform,
    namespace: agents.namespace,
    prometheusNamespace: settings.prometheusNamespace,
  });
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
