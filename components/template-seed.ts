import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { TemplateValues } from "../core/template.ts";
import { seededVersion, TEMPLATE_SEED, type TemplateSeedRecord } from "../core/template-update.ts";
import type { SeedVariables } from "../providers/git/seed.ts";
import { readTemplate } from "../providers/git/template.ts";

export interface TemplateSeedArgs {
  /** A folder under `templates/`. */
  readonly template: string;
  /** `<organization>/<slug>` on Gitea. */
  readonly repository: pulumi.Input<string>;
  /** The repository's id in Gitea. A new repository has a new id, so it is seeded again. */
  readonly repositoryId: pulumi.Input<number>;
  /** The repository's URL for git over HTTP, without credentials. */
  readonly cloneUrl: pulumi.Input<string>;
  /** The branch that gets the commit. */
  readonly branch: string;
  /** The value of each template variable. */
  readonly values: { readonly [K in keyof TemplateValues]: pulumi.Input<string> };
}

/** Throws RDEV_TEMPLATE if the template does not exist or uses an unknown variable. */
export function requireTemplate(template: string): void {
  readTemplate(template);
}

/**
 * Pushes one commit with the rendered template into an empty repository, once per repository. A later
 * change of name or template changes nothing there, because the code then belongs to the project: an
 * update of the template opens a pull request. Delete does nothing.
 */
export class TemplateSeed extends pulumi.ComponentResource {
  /** Resolves once the repository has its first commit. */
  readonly seeded: pulumi.Output<string>;

  constructor(name: string, args: TemplateSeedArgs, options?: pulumi.ComponentResourceOptions) {
    super(TEMPLATE_SEED, name, {}, options);

    requireTemplate(args.template); // here, so that a preview fails as well

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
        } satisfies { [K in keyof SeedVariables]: pulumi.Input<string> },
        triggers: [args.repositoryId],
      },
      { parent: this, ignoreChanges: ["create", "environment", ...unknownInPreviews()] },
    );

    this.seeded = seed.stdout;
    // An operation reads the record from here, for updates of the template.
    this.registerOutputs({
      seeded: this.seeded,
      record: {
        template: args.template,
        repository: args.repository,
        repositoryId: args.repositoryId,
        version: seed.stdout.apply(seededVersion),
        values: args.values,
      } satisfies { [K in keyof TemplateSeedRecord]: pulumi.Input<unknown> },
    });
  }
}

/**
 * In a preview, the id of a repository that is updated is unknown. Without this, the preview would
 * show a second seed for each change of the repository.
 */
function unknownInPreviews(): string[] {
  return pulumi.runtime.isDryRun() ? ["triggers"] : [];
}
