import * as pulumi from "@pulumi/pulumi";
import { BuildTrigger } from "../components/build-trigger.ts";
import { Cache } from "../components/cache.ts";
import { CiPipeline } from "../components/ci-pipeline.ts";
import { CitadelEnvironment } from "../components/citadel-environment.ts";
import { Database } from "../components/database.ts";
import { Deployment } from "../components/deployment.ts";
import { DnsRecord } from "../components/dns-record.ts";
import { GitRepo } from "../components/git-repo.ts";
import { ImageRepository } from "../components/image-repository.ts";
import { SettingsRecord } from "../components/settings-record.ts";
import { TemplateSeed } from "../components/template-seed.ts";
import { connection, connections } from "../core/connections.ts";
import { registryHost } from "../core/registry-name.ts";
import { completeProjectSettings, type ProjectChanges, projectSizes } from "../core/settings.ts";
import { readTemplate } from "../core/template.ts";
import { PROJECTS_GROUP } from "./names.ts";
import { ownSettings } from "./own-settings.ts";
import { stackOwner } from "./owner.ts";
import { registryAccounts } from "./registry-accounts.ts";
import { platformSettings } from "./platform-reference.ts";
import { warnOfLoopback } from "./loopback.ts";

const BRANCH = "main";

/**
 * What a project stack makes: everything that one project needs. `formerly`: the settings of a stack
 * that has no record of them yet.
 */
export async function projectStack(platform: string, slug: string, formerly?: ProjectChanges) {
  const given = await ownSettings(formerly);
  const project = completeProjectSettings(given);
  const { enabled } = connection("citadelEnabled");
  connections([
    "gitea",
    "woodpecker",
    "dns",
    "registry",
    "postgres",
    "redis",
    "kubernetes",
    ...(enabled ? (["citadel"] as const) : []),
  ]);
  readTemplate(project.template); // what is wrong in it stops an up before anything is made
  const settings = await platformSettings(platform);
  warnOfLoopback(settings);
  const accounts = registryAccounts(platform, slug, settings);
  const displayName = project.name ?? slug;
  const sizes = projectSizes(settings, project);
  const owner = stackOwner(platform, slug);

  new SettingsRecord(slug, { settings: given });
  const repository = new GitRepo(slug, {
    slug,
    owner,
    organization: settings.gitOrganization,
    description: displayName,
    retain: project.retainRepository,
  });
  const dns = new DnsRecord(slug, {
    slug,
    owner,
    domain: settings.domain,
    target: settings.ingressAddress,
    ttl: settings.dnsTtl,
  });
  const images = new ImageRepository(slug, {
    slug,
    owner,
    registry: settings.registry,
    accountVersion: accounts.version,
  });
  const database = new Database(slug, {
    slug,
    owner,
    connectionLimit: sizes.databaseConnections,
    retain: project.retainData,
    ...(settings.databaseAddress && { address: settings.databaseAddress }),
  });
  const cache = new Cache(slug, {
    slug,
    owner,
    rights: settings.cache,
    ...(settings.cacheAddress && { address: settings.cacheAddress }),
  });
  const environment = new CitadelEnvironment(slug, {
    slug,
    owner,
    displayName,
    organization: settings.citadelOrganization,
    group: PROJECTS_GROUP,
    enabled,
  });
  const deployment = new Deployment(slug, {
    slug,
    owner,
    host: dns.host,
    placeholderImage: settings.placeholderImage,
    sizes,
    ingressClass: settings.ingressClass,
    ingressNamespace: settings.ingressNamespace,
    egress: settings.egress,
    environment: environment.tenantId,
    pull: accounts.pull && { host: registryHost(settings.registry), account: accounts.pull },
    secrets: { DATABASE_URL: database.url, REDIS_URL: cache.url },
  });
  const seed = new TemplateSeed(slug, {
    template: project.template,
    repository: repository.fullName,
    repositoryId: repository.repositoryId,
    cloneUrl: repository.cloneUrl,
    branch: BRANCH,
    values: {
      PROJECT_NAME: displayName,
      PROJECT_SLUG: slug,
      DOMAIN: settings.domain,
      HOST: dns.host,
      REGISTRY: settings.registry,
      REGISTRY_HOST: registryHost(settings.registry),
      IMAGE: images.image,
      NAMESPACE: deployment.namespace,
      KUBERNETES_API: settings.kubernetesApi,
      CITADEL_TENANT_ID: environment.tenantId,
    },
  });
  const pipeline = new CiPipeline(
    slug,
    {
      owner,
      repository: repository.fullName,
      repositoryId: repository.repositoryId,
      deploy: deployment.deploy,
      registryAccount: accounts.push,
      credentialsVersion: settings.credentialsVersion,
    },
    // Woodpecker would take the seeding push for the first run, before its secrets are there.
    { dependsOn: seed },
  );
  const build = new BuildTrigger(
    slug,
    { repositoryId: pipeline.repositoryId, branch: BRANCH },
    { dependsOn: [pipeline, seed] },
  );

  return {
    slug,
    name: displayName,
    url: `https://${dns.host}`,
    repository: repository.htmlUrl,
    image: images.image,
    namespace: deployment.namespace,
    database: database.database,
    databaseUrl: database.url,
    cacheUrl: cache.url,
    citadelTenantId: environment.tenantId,
    firstBuild: pulumi.interpolate`#${build.number}`,
  };
}
