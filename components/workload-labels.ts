import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { citadelLabels } from "../core/labels.ts";
import type { ExistingWorkload } from "../core/settings.ts";

export interface WorkloadLabelsArgs {
  /** An existing workload that rdev-infra did not make. */
  readonly workload: ExistingWorkload;
  /** The environment for the output of its pods. */
  readonly environment: pulumi.Input<string>;
}

const PATCHES = {
  Deployment: k8s.apps.v1.DeploymentPatch,
  StatefulSet: k8s.apps.v1.StatefulSetPatch,
  DaemonSet: k8s.apps.v1.DaemonSetPatch,
} as const;

/**
 * Sets the citadel.io labels on the pods of an existing workload, which restarts its pods. Delete
 * removes only the labels.
 */
export class WorkloadLabels extends pulumi.ComponentResource {
  constructor(name: string, args: WorkloadLabelsArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:WorkloadLabels", name, {}, options);
    const { kind, namespace, name: workload } = args.workload;

    new PATCHES[kind](
      name,
      {
        metadata: { namespace, name: workload },
        spec: {
          template: {
            metadata: {
              labels: pulumi.output(args.environment).apply((id) => citadelLabels(workload, id)),
            },
          },
        },
      },
      { parent: this },
    );

    this.registerOutputs({});
  }
}
