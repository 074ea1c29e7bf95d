import { createHash } from "node:crypto";
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { workloadLabels } from "../../core/labels.ts";
import type { BackupSettings } from "../../core/service-settings.ts";
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from "../restricted.ts";
import { folders, GROUP, NAME, podLabels } from "./pods.ts";

/** Seconds. The migration of a large table takes minutes; a database that is gone must fail the up. */
const MIGRATION_DEADLINE_S = 600;

/** Seconds. A backup that has not begun or ended within an hour has failed. */
const BACKUP_DEADLINE_S = 3600;

/** Where the volume for backups is in their pod. */
const BACKUPS = "/backups";

/** The name of a version's migration. A Job runs once, so each version needs its own. */
export function migrationName(image: string): string {
  const version = createHash("sha256").update(image).digest("hex").slice(0, 10);
  return `${NAME}-migrate-${version}`;
}

/** The spec of the Job that migrates the database before a version starts. */
export function migrationSpec(args: JobArgs): k8s.types.input.batch.v1.JobSpec {
  return {
    backoffLimit: 3,
    activeDeadlineSeconds: MIGRATION_DEADLINE_S,
    template: jobPod("migration", {
      ...args,
      command: ["store", "migrate"],
      memoryLimit: "512Mi",
    }),
  };
}

/** The spec of the CronJob that writes backups to a volume. */
export function backupSpec({
  backup,
  ...args
}: JobArgs & {
  readonly backup: BackupSettings;
  readonly claim: pulumi.Input<string>;
}): k8s.types.input.batch.v1.CronJobSpec {
  const command = [
    ...["backup", "--to", BACKUPS, "--keep", String(backup.keep), "--json"],
    ...backup.recipients.flatMap((recipient) => ["--recipient", recipient]),
  ];
  return {
    schedule: backup.schedule,
    timeZone: "Etc/UTC",
    // Two at once would delete each other's oldest files.
    concurrencyPolicy: "Forbid",
    startingDeadlineSeconds: BACKUP_DEADLINE_S,
    jobTemplate: {
      spec: {
        backoffLimit: 2,
        activeDeadlineSeconds: BACKUP_DEADLINE_S,
        template: jobPod("backup", { ...args, command, memoryLimit: "1Gi" }),
      },
    },
  };
}

interface JobArgs {
  readonly image: string;
  /** The Secret with the command's variables. */
  readonly secret: pulumi.Input<string>;
}

interface JobPod extends JobArgs {
  readonly command: string[];
  readonly memoryLimit: string;
  /** The claim of the volume for backups. */
  readonly claim?: pulumi.Input<string>;
}

/** A pod that runs one command to its end, without the service's account. */
function jobPod(
  component: string,
  { image, secret, command, memoryLimit, claim }: JobPod,
): k8s.types.input.core.v1.PodTemplateSpec {
  const { volumes, volumeMounts } = folders();
  return {
    metadata: { labels: podLabels(workloadLabels(NAME, component)) },
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { ...RESTRICTED_POD, fsGroup: GROUP },
      containers: [
        {
          name: component,
          image,
          args: command,
          envFrom: [{ secretRef: { name: secret } }],
          resources: {
            requests: { cpu: "100m", memory: "256Mi" },
            limits: { cpu: "1", memory: memoryLimit },
          },
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            ...volumeMounts,
            ...(claim === undefined ? [] : [{ name: "backups", mountPath: BACKUPS }]),
          ],
        },
      ],
      volumes: [
        ...volumes,
        ...(claim === undefined
          ? []
          : [{ name: "backups", persistentVolumeClaim: { claimName: claim } }]),
      ],
    },
  };
}
