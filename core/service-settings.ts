import { z } from "zod";
import { identitySettings } from "./identity.ts";
import { notificationSettings } from "./receivers.ts";
import { certificates, domain, image, namespace, objectName } from "./setting-values.ts";
import { quantity } from "./units.ts";

const network = z.union(
  [z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()],
  "is not a network or an address",
);

const signIn = z.object({
  identity: z.object({ people: z.object({ signIn: z.object({ publicUrl: z.string() }) }) }),
});

/** When the CronJob runs, in UTC, and where it writes. */
const backup = z.strictObject({
  /** The public keys that the backups are encrypted for, which age-keygen prints. */
  recipients: z
    .array(z.string().regex(/^age1[a-z0-9]+$/, "is not an age recipient (age1…)"))
    .min(1, "names no key"),
  /** Five fields, as in a crontab. */
  schedule: z
    .string()
    .regex(/^[\d*/,-]+( [\dA-Za-z*/,-]+){4}$/, "is not a schedule of five fields")
    .default("17 2 * * *"),
  /** The newest backups that stay. */
  keep: z.int().min(1).max(1_000).default(14),
  /** The size of the volume. */
  size: quantity.default("10Gi"),
  /** Default: the cluster's default class. */
  storageClass: objectName.optional(),
});

/** The content of a file that the service reads. The value stays as it was given. */
function fileOf(schema: z.ZodType) {
  return z.record(z.string(), z.unknown()).check((context) => {
    for (const { path, message } of schema.safeParse(context.value).error?.issues ?? []) {
      context.issues.push({ code: "custom", path, message, input: context.value });
    }
  });
}

/** The setting for the service in the cluster. */
export const serviceSettings = z
  .strictObject({
    /** The service's image, that of `Containerfile`. Another one is another version. */
    image,
    /** The host name of the API. Below the platform's domain, the stack makes its DNS record. */
    host: domain,
    replicas: z.int().min(1).max(20).default(2),
    /** The service's namespace. The platform's stack creates and deletes it. */
    namespace: namespace.default("rdev-infra-service"),
    /** Operations at once in one replica. Each needs about 700 MiB. */
    concurrency: z.int().min(1).max(64).default(2),
    /** Whether the one who started a rollout may approve it. */
    ownApproval: z.boolean().default(true),
    cpuRequest: quantity.default("500m"),
    cpuLimit: quantity.default("2"),
    memoryRequest: quantity.default("1Gi"),
    memoryLimit: quantity.default("4Gi"),
    /** The networks of the ingress controller's pods, whose X-Forwarded-For is believed. Default: k3s'. */
    trustedProxies: z.array(network).min(1, "names no network").default(["10.42.0.0/16"]),
    /** Private authorities whose certificates the service accepts, besides the public ones, in PEM. */
    certificateAuthorities: certificates.optional(),
    /** Default: no backups. */
    backup: backup.optional(),
    /** Labels that a Prometheus Operator selects its objects by, such as `release` of its chart. */
    monitoringLabels: z.record(z.string(), z.string()).default({}),
    /** The settings of people and service accounts, as in the file of RDEV_INFRA_IDENTITY_FILE. */
    identity: fileOf(identitySettings).optional(),
    /** The receivers of notifications, as in the file of RDEV_INFRA_NOTIFICATIONS_FILE. */
    notifications: fileOf(notificationSettings).optional(),
  })
  // Browsers send the session's cookie, and writes, only to the origin of the sign-in.
  .refine(
    (service) => {
      const found = signIn.safeParse(service).data?.identity.people.signIn.publicUrl;
      return found === undefined || found.replace(/\/$/, "") === `https://${service.host}`;
    },
    {
      path: ["identity", "people", "signIn", "publicUrl"],
      error: "is not https:// with the service's host",
    },
  );

export type BackupSettings = z.output<typeof backup>;
export type ServiceSettings = z.output<typeof serviceSettings>;
