import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { Environment } from "../providers/citadel/environment.ts";

export interface CitadelEnvironmentArgs {
  /** The tenant's slug in Citadel: the project's, or `rdev-platform`. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** For people: the project's name. */
  readonly displayName: string;
  /** The organization in Citadel. */
  readonly organization: string;
  /** The tenant group it becomes a member of. */
  readonly group: string;
  /**
   * Whether Citadel is in use (CITADEL_ENABLED). When not, nothing is made and Citadel is not spoken
   * to. Once an environment exists, switching this off is refused: its logs would be deleted.
   */
  readonly enabled: boolean;
  /** Use the tenant that CITADEL_TENANT_ID names, where it is set. Default: false. */
  readonly usePlatformTenant?: boolean;
}

/**
 * A log environment in Citadel: a tenant, member of a tenant group. Delete deletes the membership
 * and the tenant, and its logs with it.
 */
export class CitadelEnvironment extends pulumi.ComponentResource {
  /** The tenant's UUID; empty when Citadel is not in use. */
  readonly tenantId: pulumi.Output<string>;

  constructor(
    name: string,
    args: CitadelEnvironmentArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("rdev:components:CitadelEnvironment", name, {}, options);

    const environment = new Environment(
      name,
      {
        slug: args.slug,
        name: args.displayName,
        organization: args.organization,
        owner: args.owner,
        group: args.group,
        enabled: args.enabled,
        usePlatformTenant: args.usePlatformTenant ?? false,
      },
      { parent: this },
    );

    this.tenantId = environment.tenantId;
    this.registerOutputs({ tenantId: this.tenantId });
  }
}
