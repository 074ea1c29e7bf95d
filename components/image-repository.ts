import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { registryHost, registryPath, repositoryOf } from "../core/registry.ts";
import { Repository } from "../providers/registry/repository.ts";

export interface ImageRepositoryArgs {
  /** The project's slug: the path in the registry. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The registry in the images' names: a host, and a path if there is one. */
  readonly registry: string;
  /** The version of the project's own accounts. Undefined if all pipelines share one account. */
  readonly accountVersion: number | undefined;
}

/**
 * The project's path in the image registry. Its mark is a small artifact in
 * `rdev-infra/marks/<path>`, which no pipeline can write. Delete deletes all images in the path.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** An image's name without a tag: `<registry>/<slug>`. */
  readonly image: pulumi.Output<string>;

  constructor(name: string, args: ImageRepositoryArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ImageRepository", name, {}, options);

    const prefix = registryPath(args.registry);
    const repository = new Repository(
      name,
      {
        path: args.slug,
        owner: args.owner,
        ...(prefix !== undefined && { prefix }),
        ...(args.accountVersion !== undefined && { accountVersion: args.accountVersion }),
      },
      { parent: this },
    );

    const host = registryHost(args.registry);
    this.image = repository.id.apply((path) => `${host}/${repositoryOf(prefix, path)}`);
    this.registerOutputs({ image: this.image });
  }
}
