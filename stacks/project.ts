import * as pulumi from "@pulumi/pulumi";
import { Cache } from "../components/cache.ts";
import { BuildTrigger, CiPipeline } from "../components/ci-pipeline.ts";
import { CitadelEnvironment } from "../components/citadel.ts";
import { Database } from "../components/database.ts";
import { Deployment } from "../components/deployment.ts";
import { DnsRecord } from "../components/dns-record.ts";
import { GitRepo } from "../components/git-repo.ts";
import { ImageRepository } from "../components/image-repository.ts";
import { requireTemplate, TemplateSeed } from "../components/template-seed.ts";
import { PROJECTS_GROUP } from "../core/citadel.ts";
import { connection, connections } from "../core/connections.ts";
import { loopbackDataServices } from "../core/loopback.ts";
import { defaultPlaceholder, registryHost } from "../core/registry.ts";
import {
  completeProjectSettings,
  type PlatformSettings,
  type ProjectChanges,
  projectSizes,
} from "../core/settings.ts";
import { registryAccounts } from "./registry-accounts.ts";
import { platformSettings, projectSettings, SettingsRecord, stackOwner } from "./settings.ts";

const BRANCH = "main";

/**
 * The program of a project's stack: everything that one project needs. `formerly` are the settings of
 * a stack that has no record of them yet, `stored` those of the platform if they are known.
 */
export async function projectStack(
  platform: string,
  slug: string,
  formerly?: ProjectChanges,
  stored?: Readonly<Record<string, unknown>>,
) {
  const recorded = await projectSettings(formerly);
  const project = completeProjectSettings(recorded);
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
  requireTemplate(project.template); // fails before anything is made
  const settings = await platformSettings(platform, stored);
  warnOfLoopback(settings);
  const accounts = registryAccounts(platform, slug, settings);
  const displayName = project.name ?? slug;
  const sizes = projectSizes(settings, project);
  const owner = stackOwner(platform, slug);

  new SettingsRecord(slug, { settings: recorded });
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
    placeholderImage: settings.placeholderImage ?? defaultPlaceholder(settings.registry),
    sizes,
    stopped: project.stopped,
    ingressClass: settings.ingressClass,
    ingressNamespace: settings.ingressNamespace,
    ...(settings.tls && { tls: settings.tls }),
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
      NAMESPACE: slug, // not the namespace's own: the seed would wait for it
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
    // Otherwise Woodpecker would run a pipeline for the seeding push, before the secrets exist.
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
    pipeline: pulumi.interpolate`${connection("woodpecker").url}/repos/${pipeline.repositoryId}`,
    image: images.image,
    namespace: deployment.namespace,
    database: database.database,
    databaseUrl: database.url,
    cacheUrl: cache.url,
    citadelTenantId: environment.tenantId,
    firstBuild: pulumi.interpolate`#${build.number}`,
  };
}

/** Warns if a project's pods would get a loopback address. */
function warnOfLoopback(settings: PlatformSettings): void {
  const { postgres, redis } = connections(["postgres", "redis"]);
  const urls = { postgres: postgres.url, redis: redis.url };
  for (const { host, source, user, remedy } of loopbackDataServices(settings, urls)) {
    void pulumi.log.warn(
      `${source} points to ${host || "this machine"}, and ${user} get that address, so they would ` +
        `connect to themselves. Set ${remedy} on the platform's stack to the address of the server ` +
        "as pods see it, then bring the platform up.",
    );
  }
}
