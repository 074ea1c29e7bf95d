import * as pulumi from "@pulumi/pulumi";
import { Group } from "../providers/citadel/group.ts";

export interface TenantGroupArgs {
  /** `platform` or `projects`. */
  readonly group: string;
  /** Whether Citadel is in use. */
  readonly enabled: boolean;
}

/** A named set of tenants in Citadel. Delete leaves it, empty: Citadel has no call to delete one. */
export class TenantGroup extends pulumi.ComponentResource {
  constructor(name: string, args: TenantGroupArgs, options?: pulumi.ComponentResourceOptions) {
    super("rdev:components:TenantGroup", name, {}, options);

    new Group(name, { name: args.group, enabled: args.enabled }, { parent: this });

    this.registerOutputs({});
  }
}
