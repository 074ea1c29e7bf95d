import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { migrate } from "../automation/store/migrate.ts";
import { InfraError, problems } from "../core/errors.ts";
import { connection } from "../core/connections.ts";
import { registryHost } from "../core/registry.ts";
import { startCitadel } from "./citadel/server.ts";
import { type Context, createSecrets, type Part, type Report } from "./context.ts";
import {
  type ClusterTools,
  prepareCluster,
  type PreparedCluster,
  type SandboxNode,
} from "./cluster.ts";
import { canInstall, installPackages, missingPackages } from "./debian.ts";
import { cachedCli, type Cli, type Engine, equip, findCli } from "./engine.ts";
import { pulumiEnvironment, writeEnvironmentFile } from "./environment.ts";
import { type GivenForge, startForge } from "./forge.ts";
import { reservePorts } from "./ports.ts";
import { findCommand } from "./process.ts";
import { startPostgres } from "./servers/postgres.ts";
import { startPowerDns } from "./servers/powerdns.ts";
import { startRedis } from "./servers/redis.ts";
import { startRegistry } from "./servers/registry.ts";
import { createStoreDatabase } from "./store-database.ts";
import { giteaUrl, type Ingress, startIngress } from "./node/ingress.ts";
import { providePlatformImages } from "./node/platform-images.ts";
import { missingForNode } from "./node/preflight.ts";
import { FAMILIES, INGRESS_FAMILIES, NODE_FAMILIES, type ToolFamily } from "./tool-families.ts";
import { downloadable, downloadTools } from "./tool-downloads.ts";
import {
  type BuildOptions,
  type BuiltFamily,
  buildTools,
  missingForBuild,
  needsCompiler,
  plannedFamily,
} from "./tools.ts";
import { startReaper, type Reaper } from "../automation/processes/reaper.ts";
import { makeWorkFolder } from "../automation/engine/folders.ts";

const { pulumi: PULUMI, kubectl: KUBECTL, kwok: KWOK, ...SERVERS } = FAMILIES;

export interface SandboxOptions {
  /** The DNS zone of the projects, such as `staging.example.test`. */
  readonly domain: string;
  /** The Gitea organization of the projects' repositories. */
  readonly gitOrganization: string;
  /** The Citadel organization of the environments. */
  readonly citadelOrganization: string;
  /** The registry in the names of the projects' images. On a real node, the sandbox's is used for it. */
  readonly registry: string;
  /** The log agent's image. On a real node, it is pulled or packed under this name. */
  readonly agentImage: string;
  /**
   * Whether pods run, on a real node, which needs Linux and root. @default false: pods are simulated
   */
  readonly realNode?: boolean;
  /**
   * Whether an ingress controller runs on the real node, which this needs. It serves Gitea at `https://git.<domain>`, too,
   * which is then the address in Gitea's links and tokens. @default false
   */
  readonly ingress?: boolean;
  /** The Kubernetes API's address as seen from a pipeline. */
  readonly kubernetesApi: string;
  /**
   * Whether pipelines run, as processes of this machine. Pushes then start pipelines, too.
   * @default false: pipelines stay `pending`
   */
  readonly runPipelines?: boolean;
  /**
   * A Gitea and the Woodpecker that is connected to it, used instead of the sandbox's own. The Gitea
   * must have the organization of the projects' repositories.
   */
  readonly forge?: GivenForge;
  /** Called for each step of the start. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly part: string;
  readonly text: string;
  readonly elapsedMs: number;
}

/** A local platform: real servers and stand-ins, on free ports of 127.0.0.1. */
export interface Sandbox {
  /** The environment variables for rdev-infra and Pulumi's CLI, including credentials. */
  readonly env: Readonly<Record<string, string>>;
  readonly parts: readonly Part[];
  readonly engine: Engine;
  /** Only with a real node. */
  readonly node?: SandboxNode;
  /** Only with `ingress`. */
  readonly ingress?: Ingress;
  /** Whether the log agent sends lines. False without a real node, and with a stand-in for Fluent Bit. */
  readonly sendsLogs: boolean;
  /** `host:port` of the DNS server. */
  readonly dns: string;
  /** The data folder. It is removed, and all servers are stopped, when this process ends. */
  readonly folder: string;
  /** A copy of this checkout by links, so that config files of stacks are not written to the repository. */
  readonly workFolder: string;
  /** A file for a shell to source. It sets `env` and changes to the work folder. */
  readonly envFile: string;
  /** Stops all servers and removes the folder. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the local platform, after building and installing what the machine lacks.
 * Everything is stopped by `stop`, by SIGINT or SIGTERM, and when this process dies.
 * Errors: RDEV_PREREQUISITE names everything that is missing; RDEV_SANDBOX names a part that failed, or
 * an option that needs another one.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  if (options.ingress && !options.realNode) {
    const text =
      "The sandbox's ingress controller runs on a real node: set realNode, or leave ingress out.";
    throw new InfraError("RDEV_SANDBOX", text);
  }
  const started = Date.now();
  const report: Report = (part, text) =>
    options.onProgress?.({ part, text, elapsedMs: Date.now() - started });
  const closers: Closer[] = [];
  const reaper = startReaper();
  let stopping: Promise<void> | undefined;
  const stop = () =>
    (stopping ??= (async () => {
      signals.forEach((signal) => process.off(signal, onSignal));
      await Promise.all([reaper.close(), ...closers.map((close) => close())]);
    })());
  const atEnd = (close: Closer) => {
    // This part became ready after another one failed.
    if (stopping) void close();
    else closers.push(close);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const onSignal = (signal: NodeJS.Signals) => {
    // Repeats the signal after the cleanup, for its default action.
    void stop().finally(() => process.kill(process.pid, signal));
  };
  signals.forEach((signal) => process.on(signal, onSignal));

  try {
    const { cli, ...programs } = await prepare(options, report, reaper);
    const folder = await mkdtemp(join(tmpdir(), "rdev-sandbox-"));
    reaper.ownFolder(folder);
    // PostgreSQL must not run as root, so its user needs to reach its folder through this one.
    if (process.getuid?.() === 0) await chmod(folder, 0o711);
    const ports = await reservePorts();
    atEnd(() => ports.release());
    const base: Context = {
      ...{ folder, reaper, ports, secrets: createSecrets(), report },
      forPods: (url) => Promise.resolve(url),
    };
    const domain = programs.traefik && options.domain;
    const cluster = await prepareCluster(base, programs.clusterTools, { domain });
    atEnd(() => cluster.close());
    const context: Context = { ...base, forPods: cluster.forPods };
    const workFolder = await makeWorkFolder(join(folder, "work"));
    const given = { cli, ...programs, cluster, atEnd };
    const { env, ...rest } = await startParts(context, options, given);
    const envFile = await writeEnvironmentFile(folder, env, workFolder);
    report("sandbox", "ready");
    return { env, ...rest, folder, workFolder, envFile, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Closer = () => Promise<void> | void;

interface Programs {
  readonly tools: Record<keyof typeof SERVERS, BuiltFamily>;
  readonly clusterTools: ClusterTools;
  /** Only if there is an ingress. */
  readonly traefik: BuiltFamily | undefined;
  /** The path of `kubectl`, if pipelines run. */
  readonly kubectl: string | undefined;
}

/** Finds, installs, downloads and builds the programs. */
async function prepare(
  options: SandboxOptions,
  report: Report,
  reaper: Reaper,
): Promise<Programs & { cli: Cli }> {
  const { realNode = false, ingress = false } = options;
  const cli = (await findCli()) ?? (await cachedCli());
  const pipelines = options.runPipelines === true && options.forge === undefined;
  const plannedKubectl = (await plannedFamily(KUBECTL)).built.program("kubectl");
  const kubectl = pipelines ? ((await findCommand("kubectl")) ?? plannedKubectl) : undefined;
  const servers: Record<keyof typeof SERVERS, ToolFamily> = {
    ...SERVERS,
    ...(cli ? {} : { pulumi: PULUMI }),
    ...(kubectl === plannedKubectl ? { kubectl: KUBECTL } : {}),
  };
  const families = [
    ...Object.values(servers),
    ...(realNode ? Object.values(NODE_FAMILIES) : [KWOK]),
    ...(ingress ? Object.values(INGRESS_FAMILIES) : []),
  ];
  const toDownload = await downloadable(families, { report });
  const toBuild = families.filter((family) => !toDownload.includes(family));
  const machine = { pipelines, realNode };
  const packages = await missingPackagesFor(toBuild, machine);
  await Promise.all([install(packages, report), downloadTools(toDownload, { report })]);
  // What could not be downloaded after all is built, too.
  await install(await missingPackagesFor(toDownload, machine), report);
  const buildOptions: BuildOptions = { report, spawn: (...args) => reaper.spawn(...args) };
  await buildTools(Object.fromEntries(families.map((one) => [one.name, one])), buildOptions);
  // All are in the cache now.
  const clusterTools: ClusterTools = realNode
    ? { node: await buildTools(NODE_FAMILIES, buildOptions) }
    : await buildTools({ kwok: KWOK }, buildOptions);
  const tools = await buildTools(servers, buildOptions);
  const found = cli ?? (await cachedCli());
  if (!found) throw new Error("Pulumi's CLI was built but cannot be found");
  const traefik = ingress ? (await buildTools(INGRESS_FAMILIES, buildOptions)).traefik : undefined;
  return { cli: found, clusterTools, tools, kubectl, traefik };
}

/**
 * The Debian packages to install before these families are built and the sandbox starts.
 * Errors: RDEV_PREREQUISITE names everything that the machine lacks and that cannot be installed.
 */
async function missingPackagesFor(
  families: readonly ToolFamily[],
  { pipelines, realNode }: { readonly pipelines: boolean; readonly realNode: boolean },
): Promise<string[]> {
  const [packages, missing, missingInMachine, mayInstall] = await Promise.all([
    missingPackages({ compiler: await needsCompiler(families), node: realNode }),
    missingForBuild(families),
    realNode ? missingForNode() : [],
    canInstall(),
  ]);
  if ((pipelines || realNode) && missing.length === 0 && !(await findCommand("go"))) {
    missing.push("Go (https://go.dev/dl), to build images: there is no `go` in PATH");
  }
  missing.push(...missingInMachine);
  if (packages.length > 0 && !mayInstall) {
    missing.unshift(
      `${packages.join(", ")} (installed automatically for root on Debian; ` +
        `otherwise: sudo apt-get install ${packages.join(" ")})`,
    );
  }
  if (missing.length > 0) {
    throw problems("RDEV_PREREQUISITE", "The sandbox needs what this machine lacks:", missing);
  }
  return packages;
}

async function install(packages: readonly string[], report: Report): Promise<void> {
  if (packages.length > 0) await installPackages(packages, report);
}

interface Given extends Omit<Programs, "clusterTools"> {
  readonly cli: Cli;
  readonly cluster: PreparedCluster;
  readonly atEnd: (close: Closer) => void;
}

async function startParts(
  context: Context,
  options: SandboxOptions,
  { cli, tools, kubectl, traefik, cluster, atEnd }: Given,
): Promise<Omit<Sandbox, "folder" | "workFolder" | "envFile" | "stop">> {
  const ready = async <T>(name: string, part: Promise<T>): Promise<T> => {
    const server = await part;
    context.report(name, "ready");
    return server;
  };
  const databases = async () => {
    const postgres = await ready("postgres", startPostgres(context));
    const url = await context.forPods(postgres.url);
    const own = await createStoreDatabase(url, "rdev_infra", () => context.secrets.make());
    await migrate(own);
    return { postgres: { ...postgres, url }, own };
  };
  const logs = async () => {
    const citadel = await startCitadel({ organization: options.citadelOrganization });
    atEnd(() => citadel.close());
    return citadel;
  };
  const started = ready("kubernetes", cluster.start(context, tools));
  const images = ready("registry", startRegistry(context, tools.registry, atEnd));
  const pipelines = async (program: string) => ({
    kubectl: program,
    registry: { host: registryHost(options.registry), url: (await images).url },
    kubernetes: { name: options.kubernetesApi, url: (await started).part.address },
  });
  const agentOnNode = async () => {
    const [{ node }, { url, variables }] = await Promise.all([started, images]);
    if (!node) return undefined;
    const { registry, agentImage } = options;
    await node.useRegistry(registryHost(registry), await context.forPods(url));
    const server = { url, ...connection("registryTokens", variables).admin };
    return providePlatformImages(context, node, { registry, server, agentImage });
  };
  const forges = startForge(context, {
    organization: options.gitOrganization,
    gitea: tools.gitea,
    giteaUrl: traefik && giteaUrl(options.domain),
    pipelines: kubectl === undefined ? undefined : () => pipelines(kubectl),
    given: options.forge,
    atEnd,
  });
  const ingressOnNode = async () => {
    const [{ node, kubeconfig }, { gitea }] = await Promise.all([started, forges]);
    if (!node || !traefik) return undefined;
    const { domain } = options;
    const admin = new KubeConfig();
    admin.loadFromFile(kubeconfig);
    const address = await context.forPods(gitea.url);
    return startIngress(context, node, { domain, traefik, admin, gitea: address });
  };
  const onNode = Promise.all([agentOnNode(), ingressOnNode()]);
  const [
    kubernetes,
    forge,
    { postgres, own },
    redis,
    dns,
    registry,
    citadel,
    engine,
    [agent, ingress],
  ] = await Promise.all([
    started,
    forges,
    databases(),
    ready("redis", startRedis(context)),
    ready("powerdns", startPowerDns(context, options.domain)),
    images,
    logs(),
    equip(cli, context),
    onNode,
  ]);
  const { node } = kubernetes;
  for (const secret of [citadel.apiKey, citadel.agentKey]) context.secrets.add(secret);
  const env = {
    GITEA_URL: forge.gitea.url,
    GITEA_TOKEN: forge.gitea.token,
    WOODPECKER_URL: forge.woodpecker.url,
    WOODPECKER_TOKEN: forge.woodpecker.token,
    DNS_PROVIDER: "powerdns",
    POWERDNS_URL: dns.url,
    POWERDNS_API_KEY: dns.apiKey,
    ...registry.variables,
    POSTGRES_ADMIN_URL: postgres.url,
    DATABASE_URL: own.url,
    DATABASE_OWNER_URL: own.ownerUrl,
    REDIS_ADMIN_URL: await context.forPods(redis.url),
    KUBECONFIG: kubernetes.kubeconfig,
    CITADEL_ENABLED: "true",
    CITADEL_URL: await context.forPods(citadel.url),
    CITADEL_API_KEY: citadel.apiKey,
    CITADEL_AGENT_KEY: citadel.agentKey,
    ...(await pulumiEnvironment(context, engine)),
  };
  const parts: Part[] = [
    kubernetes.part,
    ...(agent ? [agent] : []),
    ...forge.parts,
    postgres.part,
    redis.part,
    dns.part,
    registry.part,
    {
      name: "Citadel",
      real: false,
      address: citadel.url,
      reach: "CITADEL_API_KEY may do everything, CITADEL_AGENT_KEY may only send logs",
    },
  ];
  const sendsLogs = agent?.real ?? false;
  const given = { ...(node && { node }), ...(ingress && { ingress }) };
  return { env, parts, engine, ...given, sendsLogs, dns: dns.address };
}
