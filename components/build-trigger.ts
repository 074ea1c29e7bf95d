import * as pulumi from "@pulumi/pulumi";
import { Pipeline } from "../providers/woodpecker/pipeline.ts";

export interface BuildTriggerArgs {
  /** Woodpecker's number for the repository. */
  readonly repositoryId: pulumi.Input<number>;
  readonly branch: string;
}

/**
 * The project's first pipeline run. It happens once; later runs are started by pushes. Delete does
 * nothing.
 */
export class BuildTrigger extends pulumi.ComponentResource {
  /** The run's number in Woodpecker. */
  readonly number: pulumi.Output<number>;

  constructor(name: string, args: BuildTriggerArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:BuildTrigger", name, {}, options);

    const pipeline = new Pipeline(
      name,
      { repositoryId: args.repositoryId, branch: args.branch },
      { parent: this },
    );

    this.number = pipeline.number;
    this.registerOutputs({ number: this.number });
  }
}
