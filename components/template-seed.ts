import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { readTemplate, type TemplateValues } from "../core/template.ts";
import type { SeedOrder } from "../providers/git/seed.ts";

export interface TemplateSeedArgs {
  /** A folder under `templates/`. */
  readonly template: string;
  /** `<organization>/<slug>` on Gitea. */
  readonly repository: pulumi.Input<string>;
  /** Gitea's number for it: a repository that was made anew is empty again. */
  readonly repositoryId: pulumi.Input<number>;
  /** The same, for git over HTTP, without credentials. */
  readonly cloneUrl: pulumi.Input<string>;
  /** The branch that gets the commit. */
  readonly branch: string;
  /** What each template variable stands for. */
  readonly values: { readonly [K in keyof TemplateValues]: pulumi.Input<string> };
}

/**
 * One commit with the rendered template, only into an empty repository. It happens once for each
 * repository: a later change of name or template changes nothing, because the code is the project's
 * own by then. An unknown variable in the template is an error before anything is made. Delete does
 * nothing.
 */
export class TemplateSeed extends pulumi.ComponentResource {
  /** Resolves once the repository has its first commit. */
  readonly seeded: pulumi.Output<string>;

  constructor(name: string, args: TemplateSeedArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:TemplateSeed", name, {}, options);

    readTemplate(args.template); // throws for unknown variables, in a preview too

    const seed = new local.Command(
      name,
      {
        create: "node providers/git/seed.ts",
        environment: {
          SEED_TEMPLATE: args.template,
          SEED_REPOSITORY: args.repository,
          SEED_CLONE_URL: args.cloneUrl,
          SEED_BRANCH: args.branch,
          SEED_VALUES: pulumi.jsonStringify(args.values),
        } satisfies { [K in keyof SeedOrder]: pulumi.Input<string> },
        triggers: [args.repositoryId],
      },
      { parent: this, ignoreChanges: ["create", "environment", ...unknownInPreviews()] },
    );

    this.seeded = seed.stdout;
    this.registerOutputs({ seeded: this.seeded });
  }
}

/**
 * A preview knows no number of a repository that is only updated, so that it would announce a second
 * seed for each change of a name.
 */
function unknownInPreviews(): string[] {
  return pulumi.runtime.isDryRun() ? ["triggers"] : [];
}
