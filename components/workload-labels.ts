import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { citadelLabels } from "../core/labels.ts";
import type { ExistingWorkload } from "../core/settings.ts";

export interface WorkloadLabelsArgs {
  /** A workload that somebody else made, and that must exist. */
  readonly workload: ExistingWorkload;
  /** The environment that its pods' output goes to. */
  readonly environment: pulumi.Input<string>;
}

const PATCHES = {
  Deployment: k8s.apps.v1.DeploymentPatch,
  StatefulSet: k8s.apps.v1.StatefulSetPatch,
  DaemonSet: k8s.apps.v1.DaemonSetPatch,
} as const;

/**
 * The citadel.io labels on the pods of a workload that exists already; its pods are rolled. Delete
 * takes the labels back, and nothing else.
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
