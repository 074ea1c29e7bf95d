import * as pulumi from "@pulumi/pulumi";
import { AgentNetwork } from "../components/agent-network.ts";
import { CitadelAgent } from "../components/citadel-agent/citadel-agent.ts";
import { AlertWebhook, CitadelEnvironment, TenantGroup } from "../components/citadel.ts";
import { ClusterClaim, clusterNames } from "../components/cluster-claim.ts";
import { ControlPlane } from "../components/control-plane/control-plane.ts";
import { DnsRecord } from "../components/dns-record.ts";
import { EnvironmentPolicy } from "../components/policies/environment-policy.ts";
import { ProjectPolicy } from "../components/policies/project-policy.ts";
import { WorkloadLabels } from "../components/workload-labels.ts";
import { labelIn } from "../core/address.ts";
import { PLATFORM_ENVIRONMENT, PLATFORM_GROUP, PROJECTS_GROUP } from "../core/citadel.ts";
import { type Connection, connection, connections } from "../core/connections.ts";
import { InfraError } from "../core/errors.ts";
import type { Owner } from "../core/ownership.ts";
import type { ServiceSettings } from "../core/service-settings.ts";
import { serviceVariables, type ServiceVariables } from "../core/service-variables.ts";
import { settingsFileName, settingsFileText } from "../core/stack-settings-file.ts";
import type { DriftSettings } from "../core/drift.ts";
import type { AgentSettings, PlatformSettings } from "../core/settings.ts";
import { platformConfig, stackOwner } from "./settings.ts";

/**
 * The program of a platform's stack: the policies for projects in the cluster, log collection, and the
 * service if the settings ask for it. Project stacks read its outputs.
 */
export async function platformStack(platform: string) {
  const { service, ...settings } = platformConfig();
  await requireSchedule(settings.drift);
  const { enabled } = connection("citadelEnabled");
  connections(["kubernetes", ...(enabled ? (["citadel"] as const) : [])]);
  // Read before anything is made, so that a missing variable fails an up that has changed nothing.
  const agent = enabled ? agentConnection(settings) : undefined;
  const variables = service && serviceVariables(service);
  const owner = stackOwner(platform, platform);

  // Refuses foreign objects before anything is made.
  const claim = new ClusterClaim("cluster-claim", {
    platform,
    owner,
    logs: logsClaim(settings, enabled),
    serviceNamespace: service?.namespace,
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
  if (service && variables)
    serviceInCluster({ platform, owner, settings, service, variables, claim });

  // Projects need all settings but the service's.
  return { settings, citadelTenantId: environment.tenantId };
}

/** Throws RDEV_SETTINGS for a time or a time zone that does not exist. */
async function requireSchedule({ schedule, timezone }: DriftSettings): Promise<void> {
  if (schedule === undefined) return;
  const { lastTime } = await import("../core/cron.ts"); // most ups need no calendar
  lastTime({ schedule, timezone }, new Date());
}

type SharedSettings = Omit<PlatformSettings, "service">;

function logsClaim({ agentNamespace, policyActions }: SharedSettings, enabled: boolean) {
  return enabled ? { namespace: agentNamespace, actions: policyActions } : undefined;
}

/** The names in the cluster that this program claims for a platform. */
export function claimedNames(platform: string, settings: PlatformSettings) {
  const { enabled } = connection("citadelEnabled");
  const serviceNamespace = settings.service?.namespace;
  return clusterNames({ platform, logs: logsClaim(settings, enabled), serviceNamespace });
}

interface AgentConnection {
  readonly citadelUrl: string;
  readonly apiKey: string;
}

function agentConnection({ agent }: SharedSettings): AgentConnection {
  const { citadel } = connections(["citadel", "kubernetes"]);
  const apiKey = agentKey(citadel, agent, (message) => void pulumi.log.warn(message));
  return { citadelUrl: citadel.url, apiKey };
}

/**
 * The key that the log agent sends events with. The agent runs on every node, so it gets a key that
 * can manage environments only if a setting allows it; then `warn` is called.
 */
export function agentKey(
  citadel: Pick<Connection<"citadel">, "apiKey" | "agentKey" | "hasAgentKey">,
  { useManagementKey }: Pick<AgentSettings, "useManagementKey">,
  warn: (message: string) => void,
): string {
  if (citadel.hasAgentKey && citadel.agentKey !== citadel.apiKey) return citadel.agentKey;
  const problem = citadel.hasAgentKey
    ? "CITADEL_AGENT_KEY is the same key as CITADEL_API_KEY"
    : "CITADEL_AGENT_KEY is not set";
  const remedy = "Make a key in Citadel that only permits ingest, and set CITADEL_AGENT_KEY to it.";
  if (!useManagementKey) {
    throw new InfraError(
      "RDEV_CONNECTION",
      `${problem}, so the log agent on every node would hold a key that can manage environments. ` +
        `${remedy} Or allow it with the setting rdev:agent {"useManagementKey": true}.`,
    );
  }
  warn(
    `${problem}: the log agent on every node holds a key that can manage environments, as the setting ` +
      `rdev:agent.useManagementKey allows. ${remedy}`,
  );
  return citadel.apiKey;
}

interface LogCollection {
  readonly platform: string;
  readonly owner: pulumi.Output<Owner>;
  readonly settings: SharedSettings;
  /** The platform's own environment. */
  readonly environment: CitadelEnvironment;
  readonly agent: AgentConnection;
  readonly claim: ClusterClaim;
}

function logCollection({ platform, owner, settings, environment, agent, claim }: LogCollection) {
  const { tenantId } = environment;
  claim.actions.apply((inForce) => {
    if (inForce.includes("Deny")) return;
    void pulumi.log.warn(
      `The policies for environments only report what they would refuse (${inForce.join(", ")}): ` +
        "anyone who can label a pod can write into another tenant's logs. Check the warnings and the " +
        `cluster's audit log, then run: pulumi config set --path 'rdev:policyActions[0]' Deny`,
    );
  });
  // Everything that trusts or sets the label depends on the policy for it.
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
    connection("citadelWebhook"); // fails the preview if the secret is missing
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

interface ServiceInCluster {
  readonly platform: string;
  readonly owner: pulumi.Output<Owner>;
  readonly settings: SharedSettings;
  readonly service: ServiceSettings;
  readonly variables: ServiceVariables;
  readonly claim: ClusterClaim;
}

function serviceInCluster({
  platform,
  owner,
  settings,
  service,
  variables,
  claim,
}: ServiceInCluster) {
  const { domain, ingressAddress, dnsTtl } = settings;
  const slug = labelIn(service.host, domain);
  if (slug !== undefined) {
    const target = ingressAddress;
    new DnsRecord("service", { slug, owner, domain, target, ttl: dnsTtl }, { dependsOn: claim });
  }
  new ControlPlane(
    "control-plane",
    {
      ...variables,
      platform,
      owner,
      settings: service,
      settingsFile: {
        name: settingsFileName(platform),
        text: settingsFileText(pulumi.runtime.allConfig()),
      },
      ingressClass: settings.ingressClass,
      ingressNamespace: settings.ingressNamespace,
      tls: settings.tls,
      egress: settings.egress,
      prometheusNamespace: settings.prometheusNamespace,
      monitoring: claim.monitoring,
      collectsLogs: connection("citadelEnabled").enabled,
    },
    { dependsOn: claim },
  );
}
