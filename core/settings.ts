import { z } from "zod";
import { SSL_MODES } from "./address.ts";
import { egress } from "./egress.ts";
import { problems } from "./errors.ts";
import { OWN_NAMESPACE, registryPath } from "./registry.ts";
import { DEFAULT_SIZES, excesses, sizes, type Sizes, type SizeSettings } from "./sizes.ts";
import { quantity } from "./units.ts";

/** A DNS name of at least two labels, without a trailing dot. */
const domain = z
  .string()
  .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*$/, "is no lower-case DNS name");

const image = z.string().regex(/^[a-z0-9][\w.:/@-]*$/i, "is no image reference");

/** A server, as pods name it: an address or a DNS name, also one inside the cluster. */
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

/** Where pods reach PostgreSQL. What is left out is as in POSTGRES_ADMIN_URL. */
const databaseAddress = z.strictObject({
  host,
  port: port.default(5432),
  sslmode: z.enum(SSL_MODES, `is none of ${SSL_MODES.join(", ")}`).optional(),
});

/** Where pods reach Redis. What is left out is as in REDIS_ADMIN_URL. */
const cacheAddress = z.strictObject({
  host,
  port: port.default(6379),
  tls: z.boolean().optional(),
});

/** What projects may do on the shared Redis beyond the default. */
const cache = z.strictObject({
  /** Lua scripts. While one runs the server answers nobody else, and one that wrote cannot be ended. */
  scripts: z.boolean().default(false),
  /** INFO. It counts the keys, clients and commands of all projects. */
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

const namespace = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is no namespace");

/** How the log agent runs on each node. */
const agent = z
  .strictObject({
    /** Arguments of the image's entry point. Another image may want others. */
    args: z.array(z.string()).default(["--config=/etc/citadel-agent/fluent-bit.yaml"]),
    /** The disk that logs which could not be sent may take on one node, in MiB; then the oldest go. */
    bufferMiB: z.int().min(64).max(1_048_576).default(1024),
    /**
     * The part of it that one environment can always use, in MiB; more only while half of the space
     * for waiting logs is free. Default: a sixteenth of bufferMiB, at least 16.
     */
    tenantMiB: z.int().min(8).max(1_048_576).optional(),
    /** What one container may write in the long run, in lines a second; lines beyond that are dropped. */
    containerLinesPerSecond: z.int().min(1).max(1_000_000).default(2000),
    /** What one container may write in the long run, in KiB a second; lines beyond that are dropped. */
    containerKiBPerSecond: z.int().min(1).max(1_048_576).default(1024),
    /** Whether the agent may hold CITADEL_API_KEY, which can manage environments, on every node. */
    useManagementKey: z.boolean().default(false),
    cpuRequest: quantity.default("50m"),
    cpuLimit: quantity.default("1"),
    memoryRequest: quantity.default("64Mi"),
    memoryLimit: quantity.default("256Mi"),
  })
  .refine(({ bufferMiB, tenantMiB = 0 }) => tenantMiB <= bufferMiB / 2, {
    path: ["tenantMiB"],
    error: "is more than half of agent.bufferMiB, so that it would be no limit",
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
  /** Projects are served at `<slug>.<domain>`; the DNS zone has this name. */
  domain,
  /** The Gitea organization that holds the projects' repositories. */
  gitOrganization: z.string().regex(/^[\w.-]+$/, "is no Gitea organization"),
  /** Where images are named: a registry's host, with a path if it has one. */
  registry: image.refine((text) => !isInOwnNamespace(text), {
    error: `names a path in ${OWN_NAMESPACE}/, where the marks of ownership lie`,
  }),
  /**
   * Whether each project has registry accounts of its own, or all pipelines push with one. Default:
   * `project` where REGISTRY_TOKEN_SECRET is set.
   */
  registryAccounts: z.enum(["project", "shared"], 'is neither "project" nor "shared"').optional(),
  /** Where projects' DNS records point: an IPv4 or IPv6 address, or a host name. */
  ingressAddress: z.union([z.ipv4(), z.ipv6(), domain], "is neither an IP address nor a DNS name"),
  ingressClass: z.string().min(1).default("traefik"),
  /** The namespace of the ingress controller: the only one that may reach a project's pods. */
  ingressNamespace: z.string().min(1).default("kube-system"),
  /** Seconds. */
  dnsTtl: z.int().min(60).max(86_400).default(300),
  /** The Kubernetes API's address, as a pipeline reaches it. */
  kubernetesApi: z.url("is no URL").default("https://kubernetes.default.svc"),
  /** The organization in Citadel that the environments belong to. */
  citadelOrganization: z.string().min(1),
  /** What a project's Deployment runs until its first build; listens on 8080. */
  placeholderImage: image,
  /**
   * The log agent's image. A registry can put another image behind a version: add the digest that
   * yours serves (`fluent/fluent-bit:5.1.1@sha256:…`), and it is refused.
   */
  agentImage: image.default("fluent/fluent-bit:5.1.1"),
  agent: agent.prefault({}),
  /** Where the log agent lives. The namespace is made here, and goes with the platform. */
  agentNamespace: namespace.default("observability"),
  /** The namespace of the Prometheus that reads the agents' metrics. */
  prometheusNamespace: namespace.default("monitoring"),
  /**
   * What the admission policies that cover the whole cluster do. Not set: what is in force stays in
   * force, and policies that are new only warn.
   */
  policyActions: policyActions.optional(),
  /** Workloads that exist already and get the citadel.io labels. */
  workloads: z.array(workload).default([]),
  sizes: sizes
    .partial()
    .default({})
    .transform((given) => ({ ...DEFAULT_SIZES, ...given })),
  /** Where pods reach PostgreSQL. Default: as POSTGRES_ADMIN_URL. */
  databaseAddress: databaseAddress.optional(),
  /** Where pods reach Redis. Default: as REDIS_ADMIN_URL. */
  cacheAddress: cacheAddress.optional(),
  cache: cache.prefault({}),
  /** The most that a project may ask for, size by size. */
  maxSizes: sizes.partial().default({}),
  egress: egress.prefault({}),
  /** Where Citadel tells of new, rising or returning errors; signed with CITADEL_WEBHOOK_SECRET. */
  alertWebhook: z
    .strictObject({ url: z.url({ protocol: /^https?$/, error: "is no URL of http or https" }) })
    .optional(),
  /** Raise it after rotating what CI holds (registry account): every project's next `up` renews it. */
  credentialsVersion: z.int().min(1).default(1),
});

export type PlatformSettings = z.output<typeof platformSettings>;
export type { Sizes };
export type PolicyActions = z.output<typeof policyActions>;
export type AgentSettings = z.output<typeof agent>;
export type DatabaseAddress = z.output<typeof databaseAddress>;
export type CacheAddress = z.output<typeof cacheAddress>;
export type CacheSettings = z.output<typeof cache>;
export type ExistingWorkload = z.output<typeof workload>;

/** Some of a project's settings: those that are left out stay as they are. */
export const projectChanges = z
  .strictObject({
    name: z.string().min(1).max(100).meta({ description: "For people; any text." }),
    template: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, "is no template's name")
      .meta({ description: "A folder under `templates/`.", examples: ["skeleton"] }),
    sizes: sizes.partial().meta({ description: "Overrides the platform's, one by one." }),
    retainData: z.boolean().meta({ description: "On delete: keep the database." }),
    retainRepository: z.boolean().meta({
      description: "On delete: archive the repository instead of deleting it.",
    }),
  })
  .partial();

const { name, template, sizes: ownSizes, retainData, retainRepository } = projectChanges.shape;

const projectSettings = z.strictObject({
  /** Default: the slug. */
  name,
  template: template.unwrap().default("skeleton"),
  sizes: ownSizes.unwrap().default({}),
  retainData: retainData.unwrap().default(false),
  retainRepository: retainRepository.unwrap().default(false),
});

export type ProjectSettings = z.output<typeof projectSettings>;
export type ProjectChanges = z.output<typeof projectChanges>;

/** Throws one RDEV_SETTINGS that names every setting that is missing or malformed. */
export function parsePlatformSettings(values: Values): PlatformSettings {
  const what = "The platform's settings";
  const settings = parse(platformSettings, values, what);
  refuseExcesses(settings.sizes, settings, what);
  return settings;
}

/**
 * What a project may use: the platform's sizes with its own in their place. Throws one RDEV_SETTINGS
 * that names every size above the platform's ceilings.
 */
export function projectSizes(
  platform: SizeSettings,
  project: Pick<ProjectSettings, "sizes">,
): Sizes {
  refuseExcesses(project.sizes, platform, "The project's settings");
  return { ...platform.sizes, ...project.sizes };
}

function refuseExcesses(asked: Partial<Sizes>, platform: SizeSettings, what: string): void {
  const lines = excesses(asked, platform).map(
    ({ size, asked: value, ceiling }) =>
      `rdev:sizes.${size}: is above the platform's rdev:maxSizes.${size}, which is ${ceiling}, ` +
      `instead got ${JSON.stringify(value)}`,
  );
  if (lines.length > 0) throw problems("RDEV_SETTINGS", headOf(what), lines);
}

function headOf(what: string): string {
  return `${what} are not as they should be; set them with "pulumi config set rdev:<name> <value>":`;
}

/** The settings that are given, without defaults. Throws as `parsePlatformSettings`. */
export function parseProjectChanges(values: Values): ProjectChanges {
  return parse(projectChanges, values, "The project's settings");
}

/** With the default for each setting that is not given. */
export function completeProjectSettings(given: ProjectChanges): ProjectSettings {
  return parse(projectSettings, given, "The project's settings");
}

/** As `parsePlatformSettings`, from a stack's config, where every value is text. */
export function parsePlatformConfig(config: Config): PlatformSettings {
  return parsePlatformSettings(fromText(platformSettings, config));
}

/** As `parseProjectChanges`, from a stack's config, where every value is text. */
export function parseProjectConfig(config: Config): ProjectChanges {
  return parseProjectChanges(fromText(projectChanges, config));
}

type Values = Readonly<Record<string, unknown>>;
type Config = Readonly<Record<string, string>>;

/** Numbers, lists and maps stand in config as JSON. A name that looks like a number stays text. */
function fromText(schema: z.ZodObject, config: Config): Values {
  return Object.fromEntries(
    Object.entries(config).map(([key, text]) => {
      const setting = schema.shape[key] as z.ZodType | undefined;
      return [key, setting?.safeParse(text).success ? text : jsonOrText(text)];
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
    return issue.keys.map((key) => `rdev:${path && `${path}.`}${key} is no setting`).join("\n  - ");
  }
  if (value === undefined) return `rdev:${path} is missing`;
  return `rdev:${path}: ${issue.message}, instead got ${JSON.stringify(value)}`;
}
