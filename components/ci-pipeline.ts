import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import type { Account } from "../core/registry.ts";
import { Pipeline } from "../providers/woodpecker/pipeline.ts";
import { RegistryCredentials } from "../providers/woodpecker/registry-credentials.ts";
import { Repository } from "../providers/woodpecker/repository.ts";
import { Secret } from "../providers/woodpecker/secret.ts";
import type { DeployAccess } from "./deploy-account.ts";

export interface CiPipelineArgs {
  readonly owner: pulumi.Input<Owner>;
  /** `<organization>/<slug>` on Gitea. */
  readonly repository: pulumi.Input<string>;
  /** The repository's id in Gitea. */
  readonly repositoryId: pulumi.Input<number>;
  /** The access that pipelines use to set the running image, limited to the project's namespace. */
  readonly deploy: DeployAccess;
  /** The account for pushing images. Default: the account that all pipelines share. */
  readonly registryAccount: Account | undefined;
  /** Raise it after rotating the registry account: the secrets are then written again. */
  readonly credentialsVersion: number;
}

/**
 * Activates the repository in Woodpecker, with the secrets that its pipeline needs:
 * `registry_username`, `registry_password`, `kube_token` and `kube_ca`. Pull requests do not get the
 * secrets. Delete deactivates the repository, and Woodpecker deletes its secrets.
 */
export class CiPipeline extends pulumi.ComponentResource {
  /** The repository's id in Woodpecker. */
  readonly repositoryId: pulumi.Output<number>;
  /** Resolves once every secret exists. */
  readonly ready: pulumi.Output<unknown>;

  constructor(name: string, args: CiPipelineArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:CiPipeline", name, {}, options);

    const { owner } = args;
    const repository = new Repository(
      name,
      { fullName: args.repository, forgeRemoteId: args.repositoryId },
      { parent: this },
    );
    const { repositoryId } = repository;
    // Woodpecker deletes a repository's secrets with it.
    const child = { parent: this, deletedWith: repository };
    const registry = new RegistryCredentials(
      `${name}-registry`,
      {
        repositoryId,
        owner,
        credentialsVersion: args.credentialsVersion,
        ...(args.registryAccount && { account: { ...args.registryAccount } }),
      },
      child,
    );
    const secrets = Object.entries({ kube_token: args.deploy.token, kube_ca: args.deploy.ca }).map(
      ([secret, value]) =>
        new Secret(`${name}-${secret}`, { repositoryId, name: secret, value, owner }, child),
    );

    this.repositoryId = repositoryId;
    this.ready = pulumi.all([registry.id, ...secrets.map((secret) => secret.id)]);
    this.registerOutputs({ repositoryId });
  }
}

export interface BuildTriggerArgs {
  /** The repository's id in Woodpecker. */
  readonly repositoryId: pulumi.Input<number>;
  readonly branch: string;
}

/** Starts the project's first pipeline run, once. Pushes start the later ones. Delete does nothing. */
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
