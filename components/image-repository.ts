import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { registryHost, registryPath, repositoryOf } from "../core/registry.ts";
import { Repository } from "../providers/registry/repository.ts";

export interface ImageRepositoryArgs {
  /** The project's slug: the path in the registry. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The registry as images name it: host, with a path if it has one. */
  readonly registry: string;
  /** The version of the project's own accounts. Without one: all pipelines share an account. */
  readonly accountVersion: number | undefined;
}

/**
 * The project's own path in the image registry, marked by a small artifact in
 * `rdev-infra/marks/<path>`, where no pipeline can write. Delete deletes every image in the path.
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
