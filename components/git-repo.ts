import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { Repository } from "../providers/gitea/repository.ts";

export interface GitRepoArgs {
  /** The project's slug: the repository's name. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The Gitea organization of the repository. It must exist. */
  readonly organization: string;
  /** The repository's description in Gitea. */
  readonly description: string;
  /** On delete, archive the repository instead of deleting it. Default: false. */
  readonly retain?: boolean;
}

/**
 * The project's git repository. It is private, has the default branch `main`, and is empty until
 * TemplateSeed seeds it. Delete deletes it with its content, or archives it if `retain` is set.
 */
export class GitRepo extends pulumi.ComponentResource {
  /** `<organization>/<slug>`. */
  readonly fullName: pulumi.Output<string>;
  /** The repository's id in Gitea. */
  readonly repositoryId: pulumi.Output<number>;
  /** The URL for git over HTTP, without credentials. */
  readonly cloneUrl: pulumi.Output<string>;
  /** The URL of the repository's web page. */
  readonly htmlUrl: pulumi.Output<string>;

  constructor(name: string, args: GitRepoArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:GitRepo", name, {}, options);

    const repository = new Repository(
      name,
      {
        organization: args.organization,
        name: args.slug,
        owner: args.owner,
        description: args.description,
        retain: args.retain ?? false,
      },
      { parent: this },
    );

    this.fullName = repository.id;
    this.repositoryId = repository.repositoryId;
    this.cloneUrl = repository.cloneUrl;
    this.htmlUrl = repository.htmlUrl;
    this.registerOutputs({ fullName: this.fullName, htmlUrl: this.htmlUrl });
  }
}
