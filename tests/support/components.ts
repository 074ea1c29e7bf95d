import { Cache } from "../../components/cache.ts";
import { BuildTrigger, CiPipeline } from "../../components/ci-pipeline.ts";
import { CitadelAgent } from "../../components/citadel-agent/citadel-agent.ts";
import { CitadelEnvironment, TenantGroup } from "../../components/citadel.ts";
import { ControlPlane } from "../../components/control-plane/control-plane.ts";
import { PROMETHEUS_RULE, SERVICE_MONITOR } from "../../components/control-plane/monitoring.ts";
import { Database } from "../../components/database.ts";
import { Deployment } from "../../components/deployment.ts";
import { DnsRecord } from "../../components/dns-record.ts";
import { GitRepo } from "../../components/git-repo.ts";
import { ImageRepository } from "../../components/image-repository.ts";
import { TemplateSeed } from "../../components/template-seed.ts";
import { WorkloadLabels } from "../../components/workload-labels.ts";
import * as pulumi from "@pulumi/pulumi";
import { AgentNetwork } from "../../components/agent-network.ts";
import { EnvironmentPolicy } from "../../components/policies/environment-policy.ts";
import { ProjectPolicy } from "../../components/policies/project-policy.ts";
import { serviceSettings } from "../../core/service-settings.ts";
import { parsePlatformConfig } from "../../core/settings.ts";
import { TEMPLATE_VARIABLES, type TemplateValues } from "../../core/template.ts";
import { TENANT } from "./mocks.ts";
import { PLATFORM } from "./platform.ts";
import { testOwner } from "./owner.ts";

export const owner = testOwner("my-app");
export const { sizes, agent, egress, cache: NO_RIGHTS } = parsePlatformConfig(PLATFORM);
export const values = Object.fromEntries(
  Object.keys(TEMPLATE_VARIABLES).map((name) => [name, `value-of-${name}`]),
) as unknown as TemplateValues;

export const PULL = {
  host: "r.test",
  account: { username: "staging.my-app.pull.1", password: "planted-pull" },
};

/** Creates each component for a slug. */
export const make = {
  GitRepo: (slug: string) =>
    new GitRepo(slug, { slug, owner, organization: "projects", description: "Mine" }),
  DnsRecord: (slug: string) =>
    new DnsRecord(slug, { slug, owner, domain: "example.test", target: "192.0.2.1", ttl: 300 }),
  ImageRepository: (slug: string) =>
    new ImageRepository(slug, { slug, owner, registry: "r.test", accountVersion: 1 }),
  Database: (slug: string) => new Database(slug, { slug, owner, connectionLimit: 5 }),
  Cache: (slug: string) => new Cache(slug, { slug, owner, rights: NO_RIGHTS }),
  CitadelEnvironment: (slug: string) =>
    new CitadelEnvironment(slug, {
      slug,
      owner,
      displayName: "Mine",
      organization: "orchard9",
      group: "projects",
      enabled: true,
    }),
  TemplateSeed: (slug: string) =>
    new TemplateSeed(slug, {
      template: "skeleton",
      repository: "projects/x",
      repositoryId: 7,
      cloneUrl: "http://git/x.git",
      branch: "main",
      values,
    }),
  CiPipeline: (slug: string) =>
    new CiPipeline(slug, {
      owner,
      repository: `projects/${slug}`,
      repositoryId: 7,
      deploy: { token: pulumi.secret("deploy-token"), ca: pulumi.output("deploy-ca") },
      registryAccount: { username: "staging.x.push.1", password: "planted-push" },
      credentialsVersion: 1,
    }),
  BuildTrigger: (slug: string) => new BuildTrigger(slug, { repositoryId: 3, branch: "main" }),
  Deployment: (slug: string) =>
    new Deployment(slug, {
      slug,
      owner,
      host: `${slug}.example.test`,
      placeholderImage: "placeholder:1",
      sizes,
      ingressClass: "traefik",
      ingressNamespace: "kube-system",
      egress,
      environment: TENANT,
      pull: PULL,
      secrets: { DATABASE_URL: pulumi.secret("postgres://planted") },
    }),
  CitadelAgent: (platform: string) =>
    new CitadelAgent(platform, {
      platform,
      owner,
      namespace: "observability",
      image: "agent:1",
      settings: agent,
      citadelUrl: "https://citadel.test:8443/base",
      apiKey: "ck_planted",
      tenantId: TENANT,
    }),
  EnvironmentPolicy: (platform: string) =>
    new EnvironmentPolicy(platform, {
      owner,
      environment: TENANT,
      actions: ["Deny"],
    }),
  ProjectPolicy: (platform: string) =>
    new ProjectPolicy(platform, {
      platform,
      owner,
    }),
  AgentNetwork: (platform: string) =>
    new AgentNetwork(platform, {
      platform,
      namespace: "observability",
      prometheusNamespace: "monitoring",
    }),
  ControlPlane: (platform: string) =>
    new ControlPlane(platform, {
      platform,
      owner,
      settings: serviceSettings.parse({
        image: "rdev-infra:1",
        host: "infra.example.test",
        identity: {},
      }),
      ingressClass: "traefik",
      ingressNamespace: "kube-system",
      egress,
      prometheusNamespace: "monitoring",
      monitoring: pulumi.output([SERVICE_MONITOR, PROMETHEUS_RULE]),
      collectsLogs: true,
      settingsFile: { name: "Pulumi.staging.yaml", text: "config: {}\n" },
      pullAccount: { username: "puller", password: "planted" },
      variables: { DATABASE_URL: "postgres://service:planted@db/rdev" },
      ownerUrl: "postgres://owner:planted@db/rdev",
    }),
  TenantGroup: (group: string) => new TenantGroup(group, { group, enabled: true }),
  WorkloadLabels: (name: string) =>
    new WorkloadLabels(name, {
      workload: { kind: "StatefulSet", namespace: "rdev", name },
      environment: TENANT,
    }),
} as const;
