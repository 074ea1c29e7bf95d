import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { Repository } from "../providers/gitea/repository.ts";

export interface GitRepoArgs {
  /** The project's slug: the repository's name. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The Gitea organization that holds it; must exist. */
  readonly organization: string;
  /** What Gitea shows beside the repository's name. */
  readonly description: string;
  /** On delete: archive the repository instead. Default: false. */
  readonly retain?: boolean;
}

/**
 * The project's git repository: private, empty until the template is seeded, with default branch
 * `main`. Delete deletes it with all it holds, or archives it where `retain` is set.
 */
export class GitRepo extends pulumi.ComponentResource {
  /** `<organization>/<slug>`. */
  readonly fullName: pulumi.Output<string>;
  /** Gitea's number for it. */
  readonly repositoryId: pulumi.Output<number>;
  /** For git over HTTP, without credentials. */
  readonly cloneUrl: pulumi.Output<string>;
  /** For a person's browser. */
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
