import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { Repository } from "../providers/registry/repository.ts";

export interface ImageRepositoryArgs {
  /** The project's slug: the path in the registry. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The registry as images name it: host, with a path if it has one. */
  readonly registry: string;
}

/**
 * The project's own path in the image registry, marked by a small artifact with the tag
 * `rdev-infra`. Delete deletes every image in the path.
 */
export class ImageRepository extends pulumi.ComponentResource {
  /** An image's name without a tag: `<registry>/<slug>`. */
  readonly image: pulumi.Output<string>;

  constructor(name: string, args: ImageRepositoryArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:ImageRepository", name, {}, options);

    const repository = new Repository(
      name,
      { path: args.slug, owner: args.owner },
      { parent: this },
    );

    this.image = repository.id.apply((path) => `${args.registry}/${path}`);
    this.registerOutputs({ image: this.image });
  }
}
