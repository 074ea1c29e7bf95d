import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import type { Account } from "../core/registry-account.ts";
import { RegistryCredentials } from "../providers/woodpecker/registry-credentials.ts";
import { Repository } from "../providers/woodpecker/repository.ts";
import { Secret } from "../providers/woodpecker/secret.ts";
import type { DeployAccess } from "./deploy-account.ts";

export interface CiPipelineArgs {
  readonly owner: pulumi.Input<Owner>;
  /** `<organization>/<slug>` on Gitea. */
  readonly repository: pulumi.Input<string>;
  /** Gitea's number for it. */
  readonly repositoryId: pulumi.Input<number>;
  /** What pipelines set the running image with: good for the project's namespace only. */
  readonly deploy: DeployAccess;
  /** What it pushes images with. Without one: the account that all pipelines share. */
  readonly registryAccount: Account | undefined;
  /** Raised after rotating the registry account: the secrets are then written anew. */
  readonly credentialsVersion: number;
}

/**
 * The repository, active in Woodpecker, with the secrets that its pipeline needs:
 * `registry_username`, `registry_password`, `kube_token` and `kube_ca`. Pull requests see none of
 * them. Delete deactivates the repository; its secrets go with it.
 */
export class CiPipeline extends pulumi.ComponentResource {
  /** Woodpecker's number for the repository. */
  readonly repositoryId: pulumi.Output<number>;
  /** Resolves once every secret is there. */
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
        ...{ repositoryId, owner, credentialsVersion: args.credentialsVersion },
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
