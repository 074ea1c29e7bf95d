import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Labels } from "../../core/labels.ts";
import type { BackupSettings } from "../../core/service-settings.ts";
import { SKIP_AWAIT } from "../ingress.ts";
import { backupSpec } from "./jobs.ts";
import { NAME, type PodArgs } from "./pods.ts";

export interface BackupsArgs {
  readonly backup: BackupSettings;
  readonly metadata: { readonly namespace: string; readonly labels: Labels };
  readonly pod: PodArgs;
  /** The platform's settings file, which a restore needs. */
  readonly settings: { readonly name: string; readonly text: string };
}

/**
 * A CronJob that writes backups, the claim of the volume for them, and a Secret with the settings file.
 * Delete deletes all with the service's namespace. The reclaim policy of the volume decides whether the
 * files stay.
 */
export class Backups extends pulumi.ComponentResource {
  constructor(name: string, args: BackupsArgs, options: pulumi.ResourceOptions) {
    super("rdev:components:Backups", name, {}, { parent: options.parent });
    const { backup, pod, settings } = args;
    const { dependsOn, deletedWith } = options;
    const child = { parent: this, dependsOn, deletedWith };
    const metadata = { ...args.metadata, name: `${NAME}-backup` };

    const claim = new k8s.core.v1.PersistentVolumeClaim(
      name,
      {
        // Many classes make the volume for the first pod that uses it. An up must not wait for that.
        metadata: { ...metadata, annotations: { [SKIP_AWAIT]: "true" } },
        spec: {
          accessModes: ["ReadWriteOnce"],
          resources: { requests: { storage: backup.size } },
          ...(backup.storageClass !== undefined && { storageClassName: backup.storageClass }),
        },
      },
      child,
    );
    const file = new k8s.core.v1.Secret(
      `${name}-platform-settings`,
      {
        metadata: args.metadata,
        immutable: true,
        stringData: pulumi.secret({ [settings.name]: settings.text }),
      },
      child,
    );
    const spec = backupSpec({
      ...pod,
      backup,
      claim: claim.metadata.name,
      settings: file.metadata.name,
      settingsFile: settings.name,
    });
    new k8s.batch.v1.CronJob(name, { metadata, spec }, child);
    this.registerOutputs({});
  }
}
