import { z } from "zod";
import { labelIn, SSL_MODES } from "./address.ts";
import { driftSettings } from "./drift.ts";
import { egress } from "./egress.ts";
import { problems } from "./errors.ts";
import { lifetimeSettings, NEVER } from "./lifetime.ts";
import { projectLabels } from "./project-labels.ts";
import { OWN_NAMESPACE, registryPath } from "./registry.ts";
import { slugProblems } from "./slug.ts";
import { excesses, shortages, type SizeSettings } from "./size-rules.ts";
import { DEFAULT_SIZES, sizes, type Sizes } from "./sizes.ts";
import { domain, image, namespace, objectName } from "./setting-values.ts";
import { notificationSettings } from "./receivers.ts";
import { serviceSettings } from "./service-settings.ts";
import { quantity } from "./units.ts";

/** A server as seen from pods: an address, or a DNS name, which may be one of the cluster. */
const host = z.union(
  [
    z.ipv4(),
    z.ipv6(),
    z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/),
  ],
  "is neither an IP address nor a lower-case DNS name",
);

const port = z.int().min(1).max(65_535);

/** The address of PostgreSQL as seen from pods. Missing fields come from POSTGRES_ADMIN_URL. */
const databaseAddress = z.strictObject({
  host,
  port: port.default(5432),
  sslmode: z.enum(SSL_MODES, `is not one of ${SSL_MODES.join(", ")}`).optional(),
});

/** The address of Redis as seen from pods. Missing fields come from REDIS_ADMIN_URL. */
const cacheAddress = z.strictObject({
  host,
  port: port.default(6379),
  tls: z.boolean().optional(),
});

/** Permissions of projects on the shared Redis that they do not have by default. */
const cache = z.strictObject({
  /** Lua scripts. A running script blocks the whole server, and cannot be killed once it has written. */
  scripts: z.boolean().default(false),
  /** INFO. It shows the number of keys, clients and commands of all projects. */
  info: z.boolean().default(false),
});

function isInOwnNamespace(registry: string): boolean {
  return registryPath(registry)?.split("/")[0] === OWN_NAMESPACE;
}

const workload = z.strictObject({
  kind: z.enum(["Deployment", "StatefulSet", "DaemonSet"]),
  namespace: z.string().min(1),
  name: z.string().min(1),
});

/** Where the certificates of projects' host names come from. */
const tls = z
  .strictObject({
    /** The ClusterIssuer of cert-manager that issues a certificate for each project. */
    clusterIssuer: objectName.optional(),
    /** The Secret with a wildcard certificate. Each project's namespace needs a copy of it. */
    secret: objectName.optional(),
  })
  .refine(({ clusterIssuer, secret }) => (clusterIssuer === undefined) !== (secret === undefined), {
    error: "must name either a clusterIssuer or a secret",
    when: () => true,
  });

/** How the log agent runs on each node. */
const agent = z
  .strictObject({
    /** The arguments of the image's entry point. Another image may need other ones. */
    args: z.array(z.string()).default(["--config=/etc/citadel-agent/fluent-bit.yaml"]),
    /** The disk space on each node for unsent logs, in MiB. When it is full, the oldest are dropped. */
    bufferMiB: z.int().min(64).max(1_048_576).default(1024),
    /**
     * The part of it that each environment can always use, in MiB. An environment can use more while
     * half of the space for unsent logs is free. Default: a sixteenth of bufferMiB, at least 16.
     */
    tenantMiB: z.int().min(8).max(1_048_576).optional(),
    /** The lines per second that a container may write on average. Further lines are dropped. */
    containerLinesPerSecond: z.int().min(1).max(1_000_000).default(2000),
    /** The KiB per second that a container may write on average. Further lines are dropped. */
    containerKiBPerSecond: z.int().min(1).max(1_048_576).default(1024),
    /** Whether the agent on every node may use CITADEL_API_KEY, which can manage environments. */
    useManagementKey: z.boolean().default(false),
    cpuRequest: quantity.default("50m"),
    cpuLimit: quantity.default("1"),
    memoryRequest: quantity.default("64Mi"),
    memoryLimit: quantity.default("256Mi"),
  })
  .refine(({ bufferMiB, tenantMiB = 0 }) => tenantMiB <= bufferMiB / 2, {
    path: ["tenantMiB"],
    error: "is more than half of agent.bufferMiB, so it would have no effect",
  });

/** What an admission policy does, in Kubernetes' words: refuse, warn the caller, write to the audit log. */
export const policyActions = z
  .array(z.enum(["Deny", "Warn", "Audit"]))
  .min(1, "names no action")
  .refine(
    (actions) => !(actions.includes("Deny") && actions.includes("Warn")),
    "may hold Deny or Warn, but not both",
  )
  .refine((actions) => new Set(actions).size === actions.length, "names an action twice");

const platformSettings = z.strictObject({
  /** Projects are served at `<slug>.<domain>`. The DNS zone has the same name. */
  domain,
  /** The Gitea organization that holds the projects' repositories. */
  gitOrganization: z.string().regex(/^[\w.-]+$/, "is not a Gitea organization"),
  /** The registry in the images' names: a host, and a path if there is one. */
  registry: image.refine((text) => !isInOwnNamespace(text), {
    error: `names a path in ${OWN_NAMESPACE}/, which is reserved for the marks of ownership`,
  }),
  /**
   * Whether each project has its own registry accounts, or all pipelines share one. Default: `project`
   * if REGISTRY_TOKEN_SECRET is set, else `shared`.
   */
  registryAccounts: z.enum(["project", "shared"], 'is neither "project" nor "shared"').optional(),
  /** The target of projects' DNS records: an IPv4 or IPv6 address, or a host name. */
  ingressAddress: z.union([z.ipv4(), z.ipv6(), domain], "is neither an IP address nor a DNS name"),
  ingressClass: z.string().min(1).default("traefik"),
  /** The ingress controller's namespace. Only it may connect to a project's pods from outside. */
  ingressNamespace: z.string().min(1).default("kube-system"),
  /** Default: the ingress controller serves its default certificate. */
  tls: tls.optional(),
  /** Seconds. */
  dnsTtl: z.int().min(60).max(86_400).default(300),
  /** The Kubernetes API's address as seen from a pipeline. */
  kubernetesApi: z.url("is not a URL").default("https://kubernetes.default.svc"),
  /** The organization in Citadel that the environments belong to. */
  citadelOrganization: z.string().min(1),
  /**
   * The image that a project's Deployment runs until its first build. It must answer `GET /healthz` on
   * port 8080 as any user. Default: that of `placeholder/`, in the platform's registry.
   */
  placeholderImage: image.optional(),
  /**
   * The log agent's image. A registry could serve another image under the same version. To prevent
   * that, add the digest that yours serves: `fluent/fluent-bit:5.1.1@sha256:…`.
   */
  agentImage: image.default("fluent/fluent-bit:5.1.1"),
  agent: agent.prefault({}),
  /** The log agent's namespace. The platform's stack creates and deletes it. */
  agentNamespace: namespace.default("observability"),
  /** The namespace of the Prometheus that scrapes the agents' metrics. */
  prometheusNamespace: namespace.default("monitoring"),
  /**
   * The actions of the admission policies for the whole cluster. If not set, existing policies keep
   * their actions, and new policies only warn.
   */
  policyActions: policyActions.optional(),
  /** Existing workloads whose pods get the citadel.io labels. */
  workloads: z.array(workload).default([]),
  sizes: sizes
    .partial()
    .default({})
    .transform((own) => ({ ...DEFAULT_SIZES, ...own })),
  /** The address of PostgreSQL as seen from pods. Default: that of POSTGRES_ADMIN_URL. */
  databaseAddress: databaseAddress.optional(),
  /** The address of Redis as seen from pods. Default: that of REDIS_ADMIN_URL. */
  cacheAddress: cacheAddress.optional(),
  cache: cache.prefault({}),
  /** The ceiling of each size that a project may request. */
  maxSizes: sizes.partial().default({}),
  egress: egress.prefault({}),
  /** The address for alerts of new, rising or returning errors, signed with CITADEL_WEBHOOK_SECRET. */
  alertWebhook: z
    .strictObject({ url: z.url({ protocol: /^https?$/, error: "is not an http or https URL" }) })
    .optional(),
  /** The service in the cluster. Default: the platform's stack does not install it. */
  service: serviceSettings.optional(),
  /** The look at every project for what others changed. */
  drift: driftSettings.prefault({}),
  /** The end of projects that have a time to live. */
  lifetime: lifetimeSettings.prefault({}),
  /** Raise it after rotating the registry account. The next `up` of each project renews CI's secrets. */
  credentialsVersion: z.int().min(1).default(1),
});

export type PlatformSettings = z.output<typeof platformSettings>;
export type PolicyActions = z.output<typeof policyActions>;
export type TlsSettings = z.output<typeof tls>;
export type AgentSettings = z.output<typeof agent>;
export type DatabaseAddress = z.output<typeof databaseAddress>;
export type CacheAddress = z.output<typeof cacheAddress>;
export type CacheSettings = z.output<typeof cache>;
export type ExistingWorkload = z.output<typeof workload>;

const NO_TIME = 'is neither a time such as 2026-12-24T18:00:00Z nor "never"';

/** Changes to a project's settings. Settings that are left out do not change. */
export const projectChanges = z
  .strictObject({
    name: z.string().min(1).max(100).meta({ description: "For people; any text." }),
    template: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, "is not the name of a template")
      .meta({ description: "A folder under `templates/`.", examples: ["skeleton"] }),
    sizes: sizes.partial().meta({ description: "Overrides the platform's, one by one." }),
    retainData: z.boolean().meta({ description: "On delete: keep the database." }),
    retainRepository: z.boolean().meta({
      description: "On delete: archive the repository instead of deleting it.",
    }),
    stopped: z.boolean().meta({
      description: "Run no pods. `sizes.replicas` stays as it is, for the next start.",
    }),
    expiresAt: z
      .union([z.iso.datetime({ offset: true, error: NO_TIME }), z.literal(NEVER)], NO_TIME)
      .meta({
        description:
          "The end of its time to live, or `never`. Then it is stopped, and deleted after a grace.",
        examples: ["2026-12-24T18:00:00Z"],
      }),
    labels: projectLabels.meta({
      description: "For selecting projects. Replaces all labels that the project has.",
      examples: [{ team: "shop" }],
    }),
  })
  .partial();

const {
  name,
  template,
  sizes: ownSizes,
  retainData,
  retainRepository,
  stopped,
  expiresAt,
  labels,
} = projectChanges.shape;

/** The template of a project whose settings name none. */
export const DEFAULT_TEMPLATE = "skeleton";

const projectSettings = z.strictObject({
  /** Default: the slug. */
  name,
  template: template.unwrap().default(DEFAULT_TEMPLATE),
  sizes: ownSizes.unwrap().default({}),
  retainData: retainData.unwrap().default(false),
  retainRepository: retainRepository.unwrap().default(false),
  stopped: stopped.unwrap().default(false),
  expiresAt: expiresAt.unwrap().default(NEVER),
  labels: labels.unwrap().default({}),
});

export type ProjectSettings = z.output<typeof projectSettings>;
export type ProjectChanges = z.output<typeof projectChanges>;

/** Throws one RDEV_SETTINGS that names every missing or malformed setting. */
export function parsePlatformSettings(values: Values): PlatformSettings {
  const what = "The platform's settings";
  const settings = parse(platformSettings, values, what);
  refuse(
    [...excessLines(settings.sizes, settings), ...hostLines(settings), ...receiverLines(settings)],
    what,
  );
  return settings;
}

/**
 * A project's sizes: the platform's, overridden by the project's own. Throws one RDEV_SETTINGS that
 * names every size above the platform's ceilings, and every quota that is too small for the replicas.
 */
export function projectSizes(
  platform: SizeSettings,
  project: Pick<ProjectSettings, "sizes">,
): Sizes {
  const all = { ...platform.sizes, ...project.sizes };
  const lines = [...excessLines(project.sizes, platform), ...shortageLines(all)];
  refuse(lines, "The project's settings");
  return all;
}

function excessLines(requested: Partial<Sizes>, platform: SizeSettings): string[] {
  return excesses(requested, platform).map(
    ({ size, requested: value, ceiling }) =>
      `rdev:sizes.${size}: is above the platform's rdev:maxSizes.${size}, which is ${ceiling}, ` +
      `instead got ${JSON.stringify(value)}`,
  );
}

/** A project whose slug is the host's first label would serve the service's visitors. */
function hostLines({ service, domain: zone }: PlatformSettings): string[] {
  const label = service && labelIn(service.host, zone);
  if (label === undefined || slugProblems(label).length > 0) return [];
  return [
    `rdev:service.host: could be a project's host name; use a label that no project can have, such as ` +
      `rdev-infra.${zone}, instead got ${JSON.stringify(service?.host)}`,
  ];
}

/** A project whose slug is the first label of a receiver's host would get the notifications. */
function receiverLines({ service, domain: zone }: PlatformSettings): string[] {
  const { webhooks = [] } = notificationSettings.safeParse(service?.notifications ?? {}).data ?? {};
  return webhooks.flatMap(({ name, url }) => {
    const label = labelIn(new URL(url).hostname, zone);
    if (label === undefined || slugProblems(label).length > 0) return [];
    return [`rdev:service.notifications: the host of "${name}" could be a project's host name`];
  });
}

function shortageLines(all: Sizes): string[] {
  return shortages(all).map(
    ({ size, quota }) =>
      `rdev:sizes.${quota}: is ${all[quota]}, too small for ${all.replicas} replicas` +
      `${size === undefined ? "" : `, each with the ${size} ${all[size]}`}`,
  );
}

function refuse(lines: readonly string[], what: string): void {
  if (lines.length > 0) throw problems("RDEV_SETTINGS", headOf(what), lines);
}

function headOf(what: string): string {
  return `${what} are invalid; set them with "pulumi config set rdev:<name> <value>":`;
}

/** The project's settings without defaults. Throws like `parsePlatformSettings`. */
export function parseProjectChanges(values: Values): ProjectChanges {
  return parse(projectChanges, values, "The project's settings");
}

/** Adds the default of each missing setting. */
export function completeProjectSettings(changes: ProjectChanges): ProjectSettings {
  return parse(projectSettings, changes, "The project's settings");
}

/** Like `parsePlatformSettings`, for a stack's config, in which every value is text. */
export function parsePlatformConfig(config: Config): PlatformSettings {
  return parsePlatformSettings(fromText(platformSettings, config));
}

/** Like `parseProjectChanges`, for a stack's config, in which every value is text. */
export function parseProjectConfig(config: Config): ProjectChanges {
  return parseProjectChanges(fromText(projectChanges, config));
}

type Values = Readonly<Record<string, unknown>>;
type Config = Readonly<Record<string, string>>;

/** Numbers, lists and maps are JSON in the config. A name that looks like a number stays text. */
function fromText(schema: z.ZodObject, config: Config): Values {
  // A map, because every object has a property called "constructor".
  const settings = new Map<string, z.core.$ZodType>(Object.entries(schema.shape));
  return Object.fromEntries(
    Object.entries(config).map(([key, text]) => {
      const setting = settings.get(key);
      return [key, setting && z.safeParse(setting, text).success ? text : jsonOrText(text)];
    }),
  );
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function parse<T>(schema: z.ZodType<T>, values: Values, what: string): T {
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  throw problems(
    "RDEV_SETTINGS",
    headOf(what),
    parsed.error.issues.map((issue) => describe(values, issue)),
  );
}

function describe(values: unknown, issue: z.core.$ZodIssue): string {
  let value = values;
  for (const key of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys
      .map((key) => `rdev:${path && `${path}.`}${key} is not a setting`)
      .join("\n  - ");
  }
  if (value === undefined) return `rdev:${path} is missing`;
  const text = JSON.stringify(value);
  // Errors are logged, and a key must not be.
  const shown = text.includes("PRIVATE KEY-----") ? "a text with a private key" : text;
  return `rdev:${path}: ${issue.message}, instead got ${shown}`;
}
