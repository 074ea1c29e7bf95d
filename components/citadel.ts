import * as pulumi from "@pulumi/pulumi";
import type { Owner } from "../core/ownership.ts";
import { Environment } from "../providers/citadel/environment.ts";
import { Group } from "../providers/citadel/group.ts";
import { Webhook } from "../providers/citadel/webhook.ts";

export interface TenantGroupArgs {
  /** `platform` or `projects`. */
  readonly group: string;
  /** Whether Citadel is in use. */
  readonly enabled: boolean;
}

/** A named set of tenants in Citadel. Delete keeps the empty group: Citadel cannot delete one. */
export class TenantGroup extends pulumi.ComponentResource {
  constructor(name: string, args: TenantGroupArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:TenantGroup", name, {}, options);

    new Group(name, { name: args.group, enabled: args.enabled }, { parent: this });

    this.registerOutputs({});
  }
}

export interface CitadelEnvironmentArgs {
  /** The tenant's slug in Citadel: the project's, or `rdev-platform`. */
  readonly slug: string;
  readonly owner: pulumi.Input<Owner>;
  /** The name that people see: the project's name. */
  readonly displayName: string;
  /** The organization in Citadel. */
  readonly organization: string;
  /** The tenant group that the tenant joins. */
  readonly group: string;
  /**
   * Whether Citadel is in use (CITADEL_ENABLED). If not, nothing is made and Citadel gets no request.
   * It cannot be switched off once an environment exists, because that would delete its logs.
   */
  readonly enabled: boolean;
  /** Use the tenant in CITADEL_TENANT_ID, if that is set. Default: false. */
  readonly usePlatformTenant?: boolean;
}

/**
 * A log environment in Citadel: a tenant that is a member of a tenant group. Delete deletes the
 * membership and the tenant with its logs.
 */
export class CitadelEnvironment extends pulumi.ComponentResource {
  /** The tenant's UUID; empty if Citadel is not in use. */
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

export interface AlertWebhookArgs {
  /** The address that Citadel sends its alerts to. */
  readonly url: string;
  /** Raise it after rotating CITADEL_WEBHOOK_SECRET. */
  readonly credentialsVersion: number;
}

/**
 * A webhook in Citadel for new, rising and returning errors. Citadel signs its alerts with
 * CITADEL_WEBHOOK_SECRET (see `verifyCitadelSignature`). Delete keeps the webhook: Citadel's API
 * cannot delete one.
 */
export class AlertWebhook extends pulumi.ComponentResource {
  constructor(name: string, args: AlertWebhookArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:AlertWebhook", name, {}, options);

    const { url, credentialsVersion } = args;
    new Webhook(name, { url, credentialsVersion }, { parent: this });

    this.registerOutputs({});
  }
}
