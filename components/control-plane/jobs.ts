import { createHash } from "node:crypto";
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { workloadLabels } from "../../core/labels.ts";
import type { BackupSettings } from "../../core/service-settings.ts";
import { RESTRICTED_CONTAINER, RESTRICTED_POD } from "../restricted.ts";
import { folders, GROUP, NAME, type PodArgs, podLabels, pulledWith, trust } from "./pods.ts";

/** Seconds. The migration of a large table takes minutes; a database that is gone must fail the up. */
const MIGRATION_DEADLINE_S = 600;

/** Seconds. A backup that has not begun or ended within an hour has failed. */
const BACKUP_DEADLINE_S = 3600;

/** The program's folder in the image. */
const PROGRAM = "/app";

/** Where the volume for backups is in their pod. */
const BACKUPS = "/backups";

/** The name of a version's migration. A Job runs once, so each version needs its own. */
export function migrationName(image: string): string {
  const version = createHash("sha256").update(image).digest("hex").slice(0, 10);
  return `${NAME}-migrate-${version}`;
}

/** The spec of the Job that migrates the database before a version starts. */
export function migrationSpec(args: PodArgs): k8s.types.input.batch.v1.JobSpec {
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

export interface BackupArgs extends PodArgs {
  readonly backup: BackupSettings;
  /** The claim of the volume for backups. */
  readonly claim: pulumi.Input<string>;
  /** The Secret with the platform's settings file. */
  readonly settings: pulumi.Input<string>;
  /** The name of that file. */
  readonly settingsFile: string;
}

/** The spec of the CronJob that writes backups to a volume. */
export function backupSpec({
  backup,
  claim,
  settings,
  settingsFile,
  ...args
}: BackupArgs): k8s.types.input.batch.v1.CronJobSpec {
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
        template: jobPod("backup", {
          ...args,
          command,
          memoryLimit: "1Gi",
          mounts: [
            { name: "backups", persistentVolumeClaim: { claimName: claim }, mountPath: BACKUPS },
            {
              name: "settings",
              secret: { secretName: settings },
              // Beside Pulumi.yaml, where the command looks for it.
              mountPath: `${PROGRAM}/${settingsFile}`,
              subPath: settingsFile,
              readOnly: true,
            },
          ],
        }),
      },
    },
  };
}

/** A volume of a pod, and where it is. */
type Mount = k8s.types.input.core.v1.Volume &
  Pick<k8s.types.input.core.v1.VolumeMount, "mountPath" | "subPath" | "readOnly">;

interface JobPod extends PodArgs {
  readonly command: string[];
  readonly memoryLimit: string;
  readonly mounts?: readonly Mount[];
}

/** A pod that runs one command to its end, without the service's account. */
function jobPod(
  component: string,
  { command, memoryLimit, mounts = [], ...args }: JobPod,
): k8s.types.input.core.v1.PodTemplateSpec {
  const { volumes, volumeMounts } = folders();
  const trusted = trust(args);
  return {
    metadata: { labels: podLabels(workloadLabels(NAME, component)) },
    spec: {
      restartPolicy: "Never",
      ...pulledWith(args),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { ...RESTRICTED_POD, fsGroup: GROUP },
      containers: [
        {
          name: component,
          image: args.image,
          args: command,
          // An empty list would differ from the Job of an older version, which nobody may change.
          ...(trusted.env.length > 0 && { env: trusted.env }),
          envFrom: [{ secretRef: { name: args.secret } }],
          resources: {
            requests: { cpu: "100m", memory: "256Mi" },
            limits: { cpu: "1", memory: memoryLimit },
          },
          securityContext: RESTRICTED_CONTAINER,
          volumeMounts: [
            ...volumeMounts,
            ...trusted.volumeMounts,
            ...mounts.map(({ name, mountPath, subPath, readOnly }) => ({
              name,
              mountPath,
              ...(subPath !== undefined && { subPath, readOnly }),
            })),
          ],
        },
      ],
      volumes: [
        ...volumes,
        ...trusted.volumes,
        ...mounts.map(({ mountPath: _, subPath: _path, readOnly: _only, ...volume }) => volume),
      ],
    },
  };
}
